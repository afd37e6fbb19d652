use http_body_util::BodyExt;

use super::*;
use crate::proxy::upstream::testing::{Backend, TestBody, get, lease_on, run, until};

mod failures;
mod reuse;
mod streaming;
mod upload;

const fn once(_request: &Request<TestBody>) -> bool {
    false
}

async fn send(pool: &Rc<Pool<TestBody>>, lease: &Lease, path: &str) -> Result<UpstreamResponse<TestBody>, SendFailure> {
    send_whole(pool, lease, get(path)).await
}

async fn send_whole(
    pool: &Rc<Pool<TestBody>>,
    lease: &Lease,
    request: Request<TestBody>,
) -> Result<UpstreamResponse<TestBody>, SendFailure> {
    pool.send(lease, &mut Some(request), once).await
}

async fn text_of(answered: UpstreamResponse<TestBody>) -> String {
    let body = answered.response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
