//! The largest request body a block takes: refused at once where the length is announced, cut off where it is not.

use http::Request;
use http_body::Body as _;

use crate::proxy::body::Body;
use crate::proxy::refusal::Refusal;

/// The limit in bytes.
#[derive(Clone, Copy, Debug)]
pub struct LimitBody(pub(in crate::proxy) u64);

impl LimitBody {
    pub(super) fn enter(self, request: &mut Request<Body>) -> Result<(), Refusal> {
        let Self(limit) = self;
        if request.body().size_hint().lower() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        request.body_mut().limit(limit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_is_refused_at_once() {
        let check = |length: usize, expected| {
            let mut request = Request::new(Body::whole(vec![0; length].into()));
            assert_eq!(LimitBody(10).enter(&mut request), expected, "for {length}");
        };
        check(0, Ok(()));
        check(10, Ok(()));
        check(11, Err(Refusal::BodyTooLarge { limit: 10 }));
    }
}
