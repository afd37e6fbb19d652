//! A request as it goes over a connection.

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;

use super::error::HttpError;

const PRODUCT: HeaderValue = HeaderValue::from_static(concat!("doorward/", env!("CARGO_PKG_VERSION")));

/// Origin form, our own name, and a length.
pub fn dressed(request: Request<Bytes>, host: &str, port: u16, tls: bool) -> Result<Request<Full<Bytes>>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    let bad = || HttpError::Url { url: url.clone() };
    let name = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let name = if port == (if tls { 443 } else { 80 }) { name } else { format!("{name}:{port}") };
    parts.headers.insert(HOST, HeaderValue::try_from(name).map_err(|_| bad())?);
    parts.headers.insert(USER_AGENT, PRODUCT);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = Uri::try_from(target).map_err(|_| bad())?;
    Ok(Request::from_parts(parts, Full::new(body)))
}
