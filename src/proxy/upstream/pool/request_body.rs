//! What a backend's connection sends of a request.

use http_body::Body;

/// What can be sent to a backend as a request's body.
pub trait RequestBody: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static {}

impl<B> RequestBody for B where B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static {}
