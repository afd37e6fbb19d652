//! Gets an alarm to its operator: by a POST or through a program, with a few tries.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::AlertMessage;
use crate::base::error_chain::ErrorChain;
use crate::base::subprocess::{self, Program};
use crate::base::task;
use crate::config::settings::Alert;
use crate::net::http_client::post;
use crate::telemetry::metrics::Metrics;

/// For one run of a program; then it is killed, with all that it started.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// PreOrderCheck the second try and the third, which is the last.
const RETRY_INTERVALS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// AlertState that may wait while one is being sent.
const WAITING: usize = 16;

/// Sends alarms one after the other, so that nobody waits for a slow service.
pub struct AlertSender {
    queue: Sender<(Alert, AlertMessage)>,
    metrics: Arc<Metrics>,
}

impl AlertSender {
    /// On the runtime it is called on, which must be one of tokio's local ones. Ends when it is dropped.
    pub fn start(metrics: Arc<Metrics>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        task::spawn_local("alarms", cry(waiting));
        Self { queue, metrics }
    }

    /// Counts the alarm, and sends it if there is somebody to send it to. The log has it already.
    pub fn raise(&self, alert: Option<&Alert>, alarm: AlertMessage) {
        self.metrics.certs.alarms.add_one();
        if let Some(alert) = alert
            && self.queue.try_send((alert.clone(), alarm)).is_err()
        {
            tracing::error!(event = "alert_failed", "{WAITING} alarms wait to be sent already; this one is in the log only");
        }
    }
}

async fn cry(mut waiting: Receiver<(Alert, AlertMessage)>) {
    while let Some((alert, alarm)) = waiting.recv().await {
        send(&alert, &alarm).await;
    }
}

/// Sends one alarm, in three tries if need be, and says in the log when nobody took it.
pub async fn send(alert: &Alert, alarm: &AlertMessage) {
    let json = alarm.to_json();
    let mut pauses = RETRY_INTERVALS.into_iter();
    loop {
        let words = match (try_once(alert, &json).await, pauses.next()) {
            (Ok(()), _) => return tracing::info!(event = "alert_sent", of = ?alarm.event, "the alarm was sent"),
            (Err(_), Some(pause)) => {
                tokio::time::sleep(pause).await;
                continue;
            }
            (Err(words), None) => words,
        };
        return tracing::error!(event = "alert_failed", of = ?alarm.event, "the alarm could not be sent: {words}; see `alert`");
    }
}

async fn try_once(alert: &Alert, json: &str) -> Result<(), String> {
    match alert {
        Alert::Url(url) => match post::json(url, json.to_owned()).await {
            Ok(status) if status.is_success() => Ok(()),
            // The rest of the URL may be a secret.
            Ok(status) => Err(format!("the service answered {status}")),
            Err(error) => Err(ErrorChain(&error).to_string()),
        },
        Alert::Program(path) => run(path, json).await,
    }
}

async fn run(path: &Path, json: &str) -> Result<(), String> {
    let program = Program {
        path: path.to_owned(),
        arguments: vec!["alert".to_owned()],
        environment: vec![("DOORWARD_EVENT", "alert".to_owned())],
        input: json.to_owned(),
        limit: SEND_TIMEOUT,
    };
    let ran = subprocess::run(program).await;
    if ran.end.is_success() {
        return Ok(());
    }
    let said = if ran.said.is_empty() { String::new() } else { format!(" (it said: {})", ran.said) };
    Err(format!("the program {}: {}{said}", path.display(), ran.end))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::time::Timestamp;
    use crate::certs::alert::AlertKind;

    fn alarm() -> AlertMessage {
        AlertMessage::new(AlertKind::StateNotWritable, &[], None, "the disk is full", Timestamp::from_unix(1_800_000_000))
    }

    fn run_on_a_runtime(work: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work()).await.expect("done in time") });
    }

    /// Takes one connection, gives what came until its body is whole, and answers.
    async fn answer(listener: &TcpListener, status: &str) -> String {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut came = String::new();
        while !came.ends_with('}') {
            let mut piece = [0; 1_024];
            let length = socket.read(&mut piece).await.unwrap();
            came.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        socket.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
        came
    }

    #[test]
    fn a_service_gets_the_alarm_as_json_and_its_refusal_is_told_without_the_url() {
        run_on_a_runtime(async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let alert = Alert::Url(format!("http://{}/hook/secret?a=b", listener.local_addr().unwrap()));
            let json = alarm().to_json();
            let (sent, came) = tokio::join!(try_once(&alert, &json), answer(&listener, "204 No Content"));
            sent.unwrap();
            assert!(came.starts_with("POST /hook/secret?a=b HTTP/1.1\r\n") && came.ends_with(&json), "{came}");
            assert!(came.contains("content-type: application/json\r\n"), "{came}");
            let (refused, _) = tokio::join!(try_once(&alert, &json), answer(&listener, "403 Forbidden"));
            assert_eq!(refused.unwrap_err(), "the service answered 403 Forbidden");
        });
    }

    #[test]
    fn a_service_that_cannot_prove_who_it_is_gets_nothing() {
        run_on_a_runtime(async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let alert = Alert::Url(format!("https://{}/", listener.local_addr().unwrap()));
            let plain = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut hello = [0; 4];
                socket.read_exact(&mut hello).await.unwrap();
                assert_eq!(hello[0], 0x16, "nothing but a TLS hello");
                socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            };
            let (sent, ()) = tokio::join!(try_once(&alert, "{}"), plain);
            assert!(sent.is_err());
        });
    }

    #[test]
    fn a_program_reads_the_alarm_and_says_why_it_failed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, out) = (dir.path().join("alert"), dir.path().join("out"));
        std::fs::write(&path, format!("#!/bin/sh\ncat > {}\necho no route >&2\nexit 4\n", out.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        run_on_a_runtime(async || {
            let words = try_once(&Alert::Program(path.clone()), &alarm().to_json()).await.unwrap_err();
            assert!(words.ends_with("it ended with status 4 (it said: no route)"), "{words}");
        });
        assert_eq!(std::fs::read_to_string(out).unwrap(), alarm().to_json());
    }

    #[test]
    fn alarms_are_counted_and_sent_in_their_order() {
        run_on_a_runtime(async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let alert = Alert::Url(format!("http://{}/", listener.local_addr().unwrap()));
            let metrics = Arc::new(Metrics::default());
            let crier = AlertSender::start(Arc::clone(&metrics));
            crier.raise(None, alarm());
            for text in ["first", "second"] {
                crier.raise(Some(&alert), AlertMessage { text: text.to_owned(), ..alarm() });
            }
            assert!(answer(&listener, "200 OK").await.contains("first"));
            assert!(answer(&listener, "200 OK").await.contains("second"));
            assert_eq!(metrics.certs.alarms.read(), 3);
        });
    }
}
