//! The threads that carry traffic: one for each core, each with a runtime, sockets and connections of its own. They
//! are told what to do by messages and share nothing but snapshots and counters.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::base::task;
use crate::listeners::accept::Door;
use crate::listeners::bind::{ListenKey, Listening};
use crate::listeners::listener_config::ListenerConfig;
use crate::proxy::worker::{Shared, Worker};
use crate::telemetry::metrics::Metrics;

/// What a worker is told.
enum WorkerCommand {
    /// Accept here, too.
    Listen(ListenKey, Vec<Listening>),
    /// Accept here no longer.
    Leave(ListenKey),
    /// Accept nowhere, and let connections finish.
    Drain,
    /// Have tunnels leave whose route or backend is gone, over so long.
    Review(Duration),
    /// Have all tunnels leave, over so long.
    SendOff(Duration),
    /// End every tunnel.
    Cut,
    /// Drop everything.
    Stop,
}

/// All traffic threads.
pub struct Workers {
    orders: Vec<UnboundedSender<WorkerCommand>>,
    threads: Vec<JoinHandle<()>>,
}

/// What every worker holds a share of.
#[derive(Clone)]
pub struct SharedState {
    /// How connections are received.
    pub front: Arc<ArcSwap<ListenerConfig>>,
    /// The request path's share.
    pub shared: Shared,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Workers {
    /// Starts `count` threads that listen nowhere yet; fails when one of them cannot work, as without file descriptors, since a
    /// gateway of fewer would report that it serves and not accept what comes to their sockets.
    pub fn start(count: usize, common: &SharedState) -> io::Result<Self> {
        let mut workers = Self { orders: Vec::new(), threads: Vec::new() };
        for number in 0..count {
            let (sender, orders) = unbounded_channel();
            let common = common.clone();
            let (ready, is_ready) = sync_channel(1);
            let life = move || run(&common, orders, &ready);
            let thread = thread::Builder::new().name(format!("traffic-{number}")).spawn(life)?;
            is_ready.recv().unwrap_or_else(|_panicked| Err(io::Error::other("a traffic thread ended at once")))?;
            workers.orders.push(sender);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// Gives each worker its sockets of `spot`, in the place of those it had.
    pub fn listen(&self, spot: ListenKey, sockets: Vec<Vec<Listening>>) {
        for (worker, sockets) in self.orders.iter().zip(sockets) {
            tell(worker, WorkerCommand::Listen(spot, sockets));
        }
    }

    /// Accepts on `spot` no longer; its connections live on.
    pub fn leave(&self, spot: ListenKey) {
        self.orders.iter().for_each(|worker| tell(worker, WorkerCommand::Leave(spot)));
    }

    /// Accepts nowhere, and asks connections to finish.
    pub fn drain(&self) {
        self.orders.iter().for_each(|worker| tell(worker, WorkerCommand::Drain));
    }

    /// Has tunnels leave whose route or backend the configuration in force has no more, over `span` at the most.
    pub fn review_tunnels(&self, span: Duration) {
        self.orders.iter().for_each(|worker| tell(worker, WorkerCommand::Review(span)));
    }

    /// Has all tunnels leave, over `span` at the most.
    pub fn drain_tunnels(&self, span: Duration) {
        self.orders.iter().for_each(|worker| tell(worker, WorkerCommand::SendOff(span)));
    }

    /// Ends every tunnel, each with its record.
    pub fn cut_tunnels(&self) {
        self.orders.iter().for_each(|worker| tell(worker, WorkerCommand::Cut));
    }

    /// Ends all threads with whatever they still carry.
    pub fn stop(self) {
        self.orders.iter().for_each(|worker| tell(worker, WorkerCommand::Stop));
        for thread in self.threads {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// A worker that is gone has nothing left to do.
fn tell(worker: &UnboundedSender<WorkerCommand>, order: WorkerCommand) {
    let _ = worker.send(order);
}

/// Reports through `ready` whether it can begin.
fn run(common: &SharedState, orders: UnboundedReceiver<WorkerCommand>, ready: &SyncSender<io::Result<()>>) {
    match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => {
            // Whoever started it waits for this.
            let _started = ready.send(Ok(()));
            runtime.block_on(obey(common, orders));
            // A thread that waits for a file system that does not answer must not keep the process.
            runtime.shutdown_background();
        }
        Err(error) => {
            let _started = ready.send(Err(error));
        }
    }
}

async fn obey(common: &SharedState, mut orders: UnboundedReceiver<WorkerCommand>) {
    let worker = Worker::new(common.shared.clone());
    let door = Door::new(Arc::clone(&common.front), Rc::clone(&worker), Arc::clone(&common.metrics));
    let sweeping = Rc::clone(&door);
    let sweep = task::spawn_local("sweep", async move { sweeping.sweep().await });
    while let Some(order) = orders.recv().await {
        match order {
            WorkerCommand::Listen(spot, sockets) => {
                if let Err(error) = door.listen(spot, sockets) {
                    tracing::error!(event = "listen_failed", spot = %spot.addr, error = %error, "this worker cannot listen on {}: {error}", spot.addr);
                }
            }
            WorkerCommand::Leave(spot) => door.leave(&spot),
            WorkerCommand::Drain => door.drain(),
            WorkerCommand::Review(span) => worker.review_tunnels(span),
            WorkerCommand::SendOff(span) => worker.drain_tunnels(span),
            WorkerCommand::Cut => worker.end_tunnels(),
            WorkerCommand::Stop => break,
        }
    }
    sweep.abort();
}
