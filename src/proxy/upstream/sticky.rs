//! The cookie that names a target: an authentication code of the target's address under a key of this gateway's, so that it
//! can neither be made up nor read. Pure.
//!
//! Chosen: the code itself is the name. Each target's is computed once, and a request costs one comparison for each target.

use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use http::header::HeaderValue;

use crate::config::settings::{SameSite, Sticky};

/// Bytes of a code: more than anybody can try.
const LENGTH: usize = 16;

/// The key of the codes.
#[derive(Clone, Debug)]
pub struct CookieSigner(Arc<hmac::Key>);

/// How cookies name one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieTag(Box<str>);

impl CookieSigner {
    /// From a secret of at least 32 bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The name of `target` in the group `group`.
    pub(super) fn tag(&self, group: &str, target: &str) -> CookieTag {
        // A zero byte stands in neither, so that no two pairs are the same text.
        let code = hmac::sign(&self.0, format!("sticky\0{group}\0{target}").as_bytes());
        CookieTag(code.as_ref().iter().take(LENGTH).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl CookieTag {
    /// Whether a cookie's value is it.
    pub(super) fn is(&self, value: &str) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), value.as_bytes()).is_ok()
    }

    /// The cookie for a client (RFC 6265 section 4.1); `secure` where it came by https.
    pub(super) fn cookie(&self, rule: &Sticky, secure: bool) -> HeaderValue {
        let max_age = rule.max_age.map(|age| format!("; Max-Age={}", age.as_secs().max(1))).unwrap_or_default();
        let secure = if secure { "; Secure" } else { "" };
        let same_site = match rule.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        };
        let text = format!("{}={}; Path=/{max_age}; HttpOnly{secure}; SameSite={same_site}", rule.cookie, self.0);
        HeaderValue::try_from(text).expect("a token, hexadecimal digits and attributes are a header value")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_code_is_of_its_key_group_and_target_alone() {
        let (seal, other) = (CookieSigner::new(&[1; 32]), CookieSigner::new(&[2; 32]));
        let tag = seal.tag("app", "10.0.0.1:80");
        assert_eq!(tag, seal.tag("app", "10.0.0.1:80"));
        assert_eq!(tag.0.len(), 2 * LENGTH);
        for another in [seal.tag("app", "10.0.0.2:80"), seal.tag("b", "10.0.0.1:80"), other.tag("app", "10.0.0.1:80")] {
            assert_ne!(tag, another);
        }
        assert!(tag.is(&tag.0));
        assert!(!tag.is("") && !tag.is("10.0.0.1:80") && !tag.is(&tag.0[1..]));
    }

    #[test]
    fn a_cookie_has_the_attributes_that_protect_it() {
        let mut rule = Sticky { cookie: "lb".into(), max_age: None, same_site: SameSite::Lax };
        let tag = CookieTag("ab".into());
        assert_eq!(tag.cookie(&rule, true), "lb=ab; Path=/; HttpOnly; Secure; SameSite=Lax");
        rule.max_age = Some(Duration::from_secs(60));
        rule.same_site = SameSite::None;
        assert_eq!(tag.cookie(&rule, false), "lb=ab; Path=/; Max-Age=60; HttpOnly; SameSite=None");
    }
}
