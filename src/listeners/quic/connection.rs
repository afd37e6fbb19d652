//! One HTTP/3 connection: takes its streams, and ends it with a farewell (RFC 9114 section 5.2).

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::VarInt;

use super::session::Session;
use super::{request, uni};
use crate::base::task;
use crate::listeners::connections::Finish;
use crate::listeners::http3::code::Code;
use crate::listeners::http3::control;

/// Between the ids of two requests (RFC 9000 section 2.1).
const NEXT: u64 = 4;
/// How long the last small answers get to arrive before the connection is closed behind them: four round trips, within
/// these bounds.
const GRACE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

impl Session {
    /// Serves the connection until it ends.
    pub(super) fn serve(self: Rc<Self>) -> Serving {
        Serving { run: Box::pin(Rc::clone(&self).run()), session: self }
    }

    async fn run(self: Rc<Self>) {
        let Ok(mut control) = self.quic.open_uni().await else { return };
        let hello = control::hello(u64::try_from(self.limits.section).unwrap_or(u64::MAX >> 2));
        if control.write_all(&hello).await.is_err() {
            return;
        }
        let requests = async {
            while let Ok((send, recv)) = self.quic.accept_bi().await {
                self.admit(send, recv);
            }
        };
        let others = async {
            while let Ok(stream) = self.quic.accept_uni().await {
                drop(task::spawn_local("unidirectional", uni::read(Rc::clone(&self), stream)));
            }
        };
        tokio::select! {
            () = requests => (),
            () = others => (),
            () = self.part(control) => (),
        }
    }

    fn admit(self: &Rc<Self>, mut send: quinn::SendStream, mut recv: quinn::RecvStream) {
        let id = u64::from(VarInt::from(recv.id()));
        if self.leaving.get() && id >= self.next.get() {
            // The client knows by the farewell that it may ask again elsewhere.
            let rejected = VarInt::from_u32(Code::RequestRejected.value());
            let _ = (recv.stop(rejected), send.reset(rejected));
            return;
        }
        self.next.set(self.next.get().max(id.saturating_add(NEXT)));
        drop(task::spawn_local("request", request::answer(Rc::clone(self), send, recv)));
    }

    /// Once asked to finish: says farewell, waits for what is open, and closes.
    async fn part(&self, mut control: quinn::SendStream) {
        self.farewell.notified().await;
        self.leaving.set(true);
        if control.write_all(&control::goaway(self.next.get())).await.is_err() {
            return;
        }
        while self.open.get() > 0 {
            self.quiet.notified().await;
        }
        let grace = (self.quic.rtt() * 4).clamp(GRACE.0, GRACE.1);
        let _ = tokio::time::timeout(grace, self.quic.closed()).await;
    }
}

/// A connection being served. Dropping it closes the connection.
pub(super) struct Serving {
    session: Rc<Session>,
    run: Pin<Box<dyn Future<Output = ()>>>,
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.run.as_mut().poll(cx)
    }
}

impl Finish for Serving {
    fn finish(self: Pin<&mut Self>) {
        self.session.farewell.notify_one();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.session.close(Code::NoError);
    }
}
