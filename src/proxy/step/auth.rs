//! `auth`: who may pass. Asked before anything reaches a backend, a WebSocket's too.

use std::rc::Rc;
use std::sync::Arc;

use http::Request;

use super::{Building, Flow};
use crate::config::settings::{Auth as Settings, JwtKeys};
use crate::proxy::body::Body;
use crate::proxy::exchange::Exchange;
use crate::proxy::refusal::Refusal;
use crate::proxy::upstream::BuildClusterError;

use basic::{Basic, PasswordError, VerifyCache};
use forward::Forward;
pub(crate) use jwt::token_is_given as jwt_token_is_given;
use jwt::{JwtAuth, JwtError, Seen};
use service::{Service, UrlError};

mod basic;
mod forward;
mod jwt;
mod service;

/// One way to pass. Shared by the exchanges of its block.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Names and passwords.
    Basic(Arc<Basic>),
    /// Another service decides.
    Forward(Arc<Forward>),
    /// A signed token.
    Jwt(Arc<JwtAuth>),
}

/// Why a way to pass cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildAuthError {
    /// A password's hash is none.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Tokens cannot be checked.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// A service has no place.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A service cannot be reached by TLS.
    #[error(transparent)]
    UpstreamGroup(#[from] BuildClusterError),
}

impl Auth {
    pub(super) fn of(settings: &Settings, build: &mut Building<'_>) -> Result<Self, BuildAuthError> {
        Ok(match settings {
            Settings::Basic(users) => Self::Basic(Arc::new(Basic::new(users, build.kept.checks())?)),
            Settings::Forward(forward) => {
                let service = Service::new(&forward.url, (build.service)(&service::upstream(&forward.url)?)?)?;
                Self::Forward(Arc::new(Forward::new(service, &forward.copy)))
            }
            Settings::Jwt(jwt) => {
                let service = match &jwt.keys {
                    JwtKeys::Set(_) => None,
                    JwtKeys::Url(url) => Some(Service::new(url, (build.service)(&service::upstream(url)?)?)?),
                };
                Self::Jwt(Arc::new(JwtAuth::new(jwt, service)?))
            }
        })
    }

    /// Decides at once where that is possible.
    pub(super) fn enter<'a>(&'a self, exchange: &'a Rc<Exchange>, request: &'a mut Request<Body>) -> Result<Flow<'a>, Refusal> {
        match self {
            Self::Basic(basic) => match basic.glance(request.headers())? {
                VerifyCache::Known => Ok(Flow::Onward),
                VerifyCache::Claim(claim) => {
                    let basic = Arc::clone(basic);
                    Ok(Flow::Later(Box::pin(async move { basic.check(claim).await.map(|()| None) })))
                }
            },
            Self::Forward(forward) => Ok(Flow::Later(Box::pin(forward.ask(exchange, request)))),
            Self::Jwt(jwt) => match jwt.glance(exchange, request)? {
                Seen::Passes => Ok(Flow::Onward),
                Seen::Unknown => Ok(Flow::Later(Box::pin(async { jwt.ask(exchange, request).await.map(|()| None) }))),
            },
        }
    }
}
