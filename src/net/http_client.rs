//! An HTTP/1.1 client over connections whose TLS is verified before a byte of a request leaves. Bounded in time and size;
//! it follows no redirects.

mod connection;
mod error;
pub mod post;
mod request;
mod tls;

pub use connection::{Idle, dial, put, take};
pub use error::{HttpError, Stage};
pub use request::dressed;
pub use tls::connector;
