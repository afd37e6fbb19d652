//! instant-acme's client for one order: it answers for the directory from memory, and takes notes of what instant-acme
//! reads over.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};

use super::client::AcmeHttp;
use super::failure::HttpFailure;
use crate::base::mutex::lock;
use crate::base::time::Timestamp;

impl AcmeHttp {
    /// A client for one order's conversation, and the notes it takes meanwhile.
    pub(in crate::certs::issuer) fn conversation(&self) -> (Conversation, Arc<Mutex<Notes>>) {
        let notes = Arc::<Mutex<Notes>>::default();
        (Conversation { http: self.clone(), notes: Arc::clone(&notes) }, notes)
    }
}

/// What instant-acme reads over but an order needs to know, from the last answer that had it.
#[derive(Debug, Default)]
pub(in crate::certs::issuer) struct Notes {
    /// `Location` of the last answer that had one: a new order's URL.
    pub(in crate::certs::issuer) location: Option<String>,
    /// When the last answer asked to be asked again.
    pub(in crate::certs::issuer) retry_after: Option<Timestamp>,
    /// URLs of alternate chains, from the last answer that was a chain.
    pub(in crate::certs::issuer) alternates: Vec<String>,
}

/// instant-acme's client for one order. The directory comes from the shared memory.
pub(in crate::certs::issuer) struct Conversation {
    http: AcmeHttp,
    notes: Arc<Mutex<Notes>>,
}

impl HttpClient for Conversation {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let (http, notes) = (self.http.clone(), Arc::clone(&self.notes));
        Box::pin(
            async move { converse(&http, &notes, request).await.map_err(|error| instant_acme::Error::Other(Box::new(error))) },
        )
    }
}

async fn converse(
    http: &AcmeHttp,
    notes: &Mutex<Notes>,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, HttpFailure> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
    let request = Request::from_parts(parts, body);
    if request.method() == Method::GET && request.uri() == http.directory_url() {
        return Ok(whole(StatusCode::OK, http.directory().await?.text()));
    }
    let mut answer = http.send(request).await?;
    // instant-acme repeats a refused nonce by itself, if it is let see the refusal.
    if !answer.is_bad_nonce() {
        answer = answer.checked(http.pauses())?;
        answer.must_be_acme()?;
    }
    let mut notes = lock(notes);
    notes.retry_after = answer.retry_after();
    if let Some(location) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()) {
        notes.location = Some(location.to_owned());
    }
    if answer.is_chain() {
        notes.alternates = answer.alternates();
    }
    Ok(answer.into_response())
}

fn whole(status: StatusCode, body: Bytes) -> BytesResponse {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    BytesResponse { parts, body: Box::new(body) }
}
