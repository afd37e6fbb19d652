//! An external account binding (RFC 8555 section 7.3.4) that an authority refuses, in the words of the setting.

use crate::certs::issuer::acme::{OrderCause, RefusedPart};

/// Whether a refusal of newAccount is about the binding. Pebble and Boulder's relatives say "external account binding JWS
/// verification error" or that the field `kid` refers to no known key; others speak of EAB, of the HMAC or of the MAC key.
pub(super) fn refused(cause: &OrderCause) -> Option<RefusedPart> {
    let said = cause.detail()?.to_ascii_lowercase();
    let is_about_it =
        matches!(cause.acme_type(), Some("unauthorized" | "malformed" | "externalAccountRequired" | "serverInternal"))
            && ["external account", "externalaccountbinding", "binding", "eab", "hmac", "mac key", "kid", "key id"]
                .iter()
                .any(|words| said.contains(words));
    let verified = ["verif", "signature", "hmac", "invalid mac"].iter().any(|words| said.contains(words));
    is_about_it.then_some(if verified { RefusedPart::HmacKey } else { RefusedPart::KeyId })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error_chain::ErrorChain;
    use crate::certs::issuer::acme::RefusedBinding;
    use crate::config::settings::At;

    fn cause(acme_type: &str, detail: &str) -> OrderCause {
        let json = format!(r#"{{"type":"urn:ietf:params:acme:error:{acme_type}","detail":"{detail}"}}"#);
        OrderCause::Problem(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn the_value_that_is_refused_is_told_from_the_authoritys_words() {
        let check = |acme_type, detail, expected| assert_eq!(refused(&cause(acme_type, detail)), expected, "{detail}");
        check("malformed", "external account binding JWS verification error", Some(RefusedPart::HmacKey));
        check("unauthorized", "the field 'kid' references a key that is not known to the ACME server", Some(RefusedPart::KeyId));
        check("externalAccountRequired", "The EAB MAC key could not be verified", Some(RefusedPart::HmacKey));
        // Google Trust Services (shred/acme4j#150).
        check("unauthorized", "External Account Binding JWS verification failed", Some(RefusedPart::HmacKey));
        check("rateLimited", "too many registrations with this binding", None);
        check("invalidContact", "example.com is no domain", None);
        check("unauthorized", "An account with the provided public key exists but is deactivated", None);
    }

    #[test]
    fn the_message_names_directory_key_id_and_what_to_do() {
        let binding = RefusedBinding {
            directory: "https://ca.example/dir".to_owned(),
            key_id: "KID".to_owned(),
            at: At::default(),
            part: RefusedPart::HmacKey,
            said: cause("malformed", "external account binding JWS verification error"),
        };
        let said = ErrorChain(&binding).to_string();
        assert!(
            said.starts_with("https://ca.example/dir does not accept the HMAC key of `eab KID`; copy both values again"),
            "{said}"
        );
        assert!(said.contains("JWS verification error"), "{said}");
    }
}
