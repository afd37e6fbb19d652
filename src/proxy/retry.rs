//! Whether a failed attempt may be made again: never when a backend might have acted on the first (RFC 9110 section 9.2.2).

use http::{Method, Request};

use super::body::Body;

/// What is known of an attempt that failed before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How far it got.
    pub reached: Reached,
    /// Whether the request is still whole: in hand, its body untouched.
    pub whole: bool,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// Attempts that may still be made at other targets.
    pub further: u32,
}

/// How far an attempt got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// No connection: nothing of the request left us.
    Nowhere,
    /// A connection that had idled in our list closed under it: the backend's close crossed our request.
    UsedConnection {
        /// Whether any of the request was written.
        wrote: bool,
    },
    /// A connection made for it, or an answer had begun, or time ran out: the backend had it.
    Backend,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Again at the same target, without counting: it was our list that was stale.
    Afresh,
    /// Again at another target.
    Elsewhere,
    /// The failure stands.
    GiveUp,
}

/// Decides.
pub const fn decide(attempt: Attempt) -> Verdict {
    match attempt {
        Attempt { whole: false, .. } => Verdict::GiveUp,
        Attempt { reached: Reached::UsedConnection { wrote: false }, .. }
        | Attempt { reached: Reached::UsedConnection { wrote: true }, idempotent: true, .. } => Verdict::Afresh,
        Attempt { reached: Reached::Nowhere, further: 1.., .. } => Verdict::Elsewhere,
        Attempt { reached: Reached::Nowhere | Reached::UsedConnection { .. } | Reached::Backend, .. } => Verdict::GiveUp,
    }
}

/// RFC 9110 section 9.2.2.
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

/// Whether a request may be sent twice: nothing but a header, and one that may be acted on twice.
pub(super) fn again(request: &Request<Body>) -> bool {
    request.body().is_empty() && is_idempotent(request.method())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reached: Reached, whole: bool, idempotent: bool, further: u32, expected: Verdict) {
        assert_eq!(decide(Attempt { reached, whole, idempotent, further }), expected);
    }

    #[test]
    fn only_what_cannot_have_been_acted_on_is_tried_again() {
        check(Reached::Nowhere, true, false, 1, Verdict::Elsewhere);
        check(Reached::Nowhere, true, true, 0, Verdict::GiveUp);
        check(Reached::UsedConnection { wrote: false }, true, false, 0, Verdict::Afresh);
        check(Reached::UsedConnection { wrote: true }, true, true, 0, Verdict::Afresh);
        check(Reached::UsedConnection { wrote: true }, true, false, 3, Verdict::GiveUp);
        check(Reached::UsedConnection { wrote: true }, false, true, 3, Verdict::GiveUp);
        check(Reached::Backend, true, true, 3, Verdict::GiveUp);
    }

    #[test]
    fn posts_and_patches_are_not_idempotent() {
        for (method, expected) in [("GET", true), ("DELETE", true), ("POST", false), ("PATCH", false), ("PURGE", false)] {
            assert_eq!(is_idempotent(&method.parse().unwrap()), expected, "for {method}");
        }
    }
}
