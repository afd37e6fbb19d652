//! What becomes of a request whose client ends its half of the connection, or both.

use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::*;
use crate::proxy::body::BodyError;
use crate::proxy::client_io::Ticks;

/// Answers by `hi`, each letter after so long.
struct After(Duration);

impl Service for After {
    type Answering = Pin<Box<dyn Future<Output = Result<Response<Open<Body>>, Broken>>>>;

    fn answer(&self, request: Request<Body>, open: OpenRequest) -> Self::Answering {
        drop(request);
        let span = self.0;
        Box::pin(async move {
            sleep(span).await;
            let letters = stream::iter(["h", "i"]).then(move |letter| async move {
                sleep(span).await;
                Ok::<_, BodyError>(Frame::data(Bytes::from_static(letter.as_bytes())))
            });
            Ok(Response::new(Open::new(Body::made(StreamBody::new(Box::pin(letters))), open)))
        })
    }

    fn refuse(&self, _: &Unreadable, open: OpenRequest) -> Response<Open<Body>> {
        Response::new(Open::new(Body::empty(), open))
    }

    fn date(&self) -> HeaderValue {
        HeaderValue::from_static("now")
    }
}

/// Serves one connection whose client does as `talk` says; what the client read, and when the server's side was over.
async fn serve<F: Future<Output = String>>(service: After, talk: impl FnOnce(TcpStream) -> F) -> (String, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let activity = Activity::new(Arc::<Ticks>::default());
    let limits = HeadLimits { room: 1_000, size: 800, count: 8, url: 100 };
    let connection = Connection::new(ClientIo::plain(socket, Arc::clone(&activity)), service, limits, activity);
    let begun = Instant::now();
    let serving = async {
        connection.await;
        begun.elapsed()
    };
    let (read, took) = tokio::join!(talk(client), serving);
    (read, took)
}

/// Sends `request` and the end of this half, and reads to the end of the other.
async fn half_closing(mut client: TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut read = String::new();
    client.read_to_string(&mut read).await.unwrap();
    read
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const PIECE: Duration = Duration::from_secs(4);
const TOO_LATE: Duration = Duration::from_secs(6);

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_gets_an_answer_whose_pieces_come_in_time() {
    let answer =
        "HTTP/1.1 200 OK\r\ndate: now\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n";
    let (read, took) = serve(After(PIECE), |client| half_closing(client, GET)).await;
    assert_eq!(read, answer);
    assert!(took >= 3 * PIECE, "{took:?}");
    // Of two requests the first one leaves the connection to the second.
    let twice = GET.repeat(2);
    let (read, _) = serve(After(PIECE), |client| half_closing(client, &twice)).await;
    assert_eq!(read.matches("HTTP/1.1 200 OK").count(), 2, "{read}");
    assert_eq!(read.matches("connection: close").count(), 1, "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_is_given_up_when_the_answer_takes_too_long() {
    let (read, took) = serve(After(TOO_LATE), |client| half_closing(client, GET)).await;
    assert_eq!(read, "");
    assert!((HALF_CLOSED_TIMEOUT..TOO_LATE).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_or_leaves_out_its_body_is_given_up_at_once() {
    let reset = |mut client: TcpStream| async move {
        client.write_all(GET.as_bytes()).await.unwrap();
        // The request is read first: a reset discards what is not.
        sleep(Duration::from_secs(1)).await;
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        String::new()
    };
    let (_, took) = serve(After(TOO_LATE), reset).await;
    assert!(took < HALF_CLOSED_TIMEOUT, "{took:?}");
    let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n";
    let (read, took) = serve(After(TOO_LATE), |client| half_closing(client, post)).await;
    assert!(read.is_empty() && took < HALF_CLOSED_TIMEOUT, "{took:?}: {read}");
}
