//! Whether a token lets pass: its signature by a key that may have made it, and what it says of itself.

use std::str::FromStr;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::jwks::Keys;
use crate::config::settings::Jwt;
use crate::proxy::refusal::{Proof, Refusal, Unproved};

/// Longest token that is looked at; request headers are larger.
const MAX_TOKEN: usize = 16 * 1024;
/// Clocks of issuers may differ from ours by so much, in seconds.
const LEEWAY: u64 = 60;

/// What a site asks of tokens.
pub(super) struct Rules {
    algorithms: Box<[Algorithm]>,
    issuers: Box<[String]>,
    audiences: Box<[String]>,
}

/// Why a token does not let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// No key here may have made it.
    Key,
    /// It is over.
    Expired,
    /// Everything else, which its bearer need not know.
    Wrong,
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Self {
        Self::Unauthorized(
            Proof::Token,
            match bad {
                Bad::Expired => Unproved::Expired,
                Bad::Key | Bad::Wrong => Unproved::Wrong,
            },
        )
    }
}

/// Claims are checked by the library, and nothing here reads them.
#[derive(Deserialize)]
struct Claims {}

impl Rules {
    pub(super) fn new(settings: &Jwt) -> Self {
        Self {
            algorithms: settings.algorithms.iter().filter_map(|name| Algorithm::from_str(name).ok()).collect(),
            issuers: settings.issuers.clone().into(),
            audiences: settings.audiences.clone().into(),
        }
    }

    pub(super) fn check(&self, token: &str, keys: &Keys) -> Result<(), Bad> {
        if token.len() > MAX_TOKEN {
            return Err(Bad::Wrong);
        }
        let header = decode_header(token).map_err(|_| Bad::Wrong)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(Bad::Wrong);
        }
        let validation = self.validation(header.alg);
        let name = format!("{:?}", header.alg);
        let mut worst = Bad::Key;
        for key in keys.of(header.kid.as_deref(), header.alg.family()) {
            if key.only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            match decode::<Claims>(token, &key.decoding, &validation) {
                Ok(_) => return Ok(()),
                Err(error) => worst = read(error.kind()),
            }
            // A good signature decides, whatever other keys would say.
            if worst != Bad::Key {
                break;
            }
        }
        Err(worst)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        validation.validate_aud = !self.audiences.is_empty();
        if validation.validate_aud {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

fn read(kind: &ErrorKind) -> Bad {
    match kind {
        ErrorKind::InvalidSignature => Bad::Key,
        ErrorKind::ExpiredSignature => Bad::Expired,
        _ => Bad::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::base::secret::Secret;
    use crate::base::time::{Clock, SystemClock};
    use crate::config::settings::{Credential, JwtKeys, SecretSource, TokenPlace};

    fn rules(algorithms: &[&'static str], issuer: bool) -> Rules {
        let named = |name: &str| if issuer { vec![name.to_owned()] } else { Vec::new() };
        Rules::new(&Jwt {
            keys: JwtKeys::Set(Credential { value: Secret::new(String::new()), from: SecretSource::InPlace }),
            algorithms: algorithms.to_vec(),
            issuers: named("https://id.test"),
            audiences: named("api"),
            places: vec![TokenPlace::Bearer],
            strip: false,
        })
    }

    fn claims(seconds: i64) -> Value {
        json!({ "exp": SystemClock.now().unix() + seconds, "iss": "https://id.test", "aud": ["web", "api"] })
    }

    fn sign(algorithm: Algorithm, id: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
        encode(&Header { kid: id.map(ToOwned::to_owned), ..Header::new(algorithm) }, claims, key).unwrap()
    }

    fn secret_set() -> Keys {
        let key = |id: &str, secret: &str| json!({ "kty": "oct", "kid": id, "k": URL_SAFE_NO_PAD.encode(secret) });
        Keys::read(json!({ "keys": [key("a", "one"), key("b", "two")] }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_token_must_be_signed_by_a_key_of_the_set_and_be_about_us_and_now() {
        let keys = secret_set();
        let check = |id: Option<&str>, secret: &str, claims: Value, expected: Result<(), Bad>| {
            let token = sign(Algorithm::HS256, id, &claims, &EncodingKey::from_secret(secret.as_bytes()));
            assert_eq!(rules(&["HS256"], true).check(&token, &keys), expected, "for {id:?} {claims}");
        };
        check(Some("a"), "one", claims(60), Ok(()));
        check(None, "two", claims(60), Ok(()));
        check(Some("b"), "one", claims(60), Err(Bad::Key));
        check(Some("c"), "one", claims(60), Err(Bad::Key));
        check(None, "three", claims(60), Err(Bad::Key));
        check(Some("a"), "one", claims(-30), Ok(()));
        check(Some("a"), "one", claims(-90), Err(Bad::Expired));
        let with = |name: &str, value: Value| {
            let mut claims = claims(60);
            claims[name] = value;
            claims
        };
        check(Some("a"), "one", with("iss", json!("https://evil.test")), Err(Bad::Wrong));
        check(Some("a"), "one", with("aud", json!("web")), Err(Bad::Wrong));
        check(Some("a"), "one", with("exp", Value::Null), Err(Bad::Wrong));
        check(Some("a"), "one", with("nbf", json!(SystemClock.now().unix() + 600)), Err(Bad::Wrong));
        check(Some("a"), "one", json!({ "exp": SystemClock.now().unix() + 60 }), Err(Bad::Wrong));
    }

    #[test]
    fn only_the_sites_algorithms_count_whatever_the_token_says() {
        let keys = secret_set();
        let one = EncodingKey::from_secret(b"one");
        let check = |algorithms: &[&'static str], token: &str, expected: Result<(), Bad>| {
            assert_eq!(rules(algorithms, false).check(token, &keys), expected, "for {algorithms:?} {token}");
        };
        let token = sign(Algorithm::HS512, Some("a"), &claims(60), &one);
        check(&["HS512", "RS256"], &token, Ok(()));
        check(&["HS256"], &token, Err(Bad::Wrong));
        check(&["RS256"], &token, Err(Bad::Wrong));
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!("{}.{}.", part(json!({ "alg": "none" })), part(claims(60)));
        check(&["HS256"], &unsigned, Err(Bad::Wrong));
        for nonsense in ["", ".", "..", "a.b.c", &"x".repeat(20_000)] {
            check(&["HS256"], nonsense, Err(Bad::Wrong));
        }
    }

    #[test]
    fn keys_that_are_not_for_us_are_passed_over() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signing = EncodingKey::from_ec_der(&pair.serialize_der());
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&signing, Algorithm::ES256).unwrap()).unwrap();
        let set = |mut jwk: Value, name: &str, value: Value| {
            jwk[name] = value;
            json!({ "keys": [{ "kty": "future", "x": 1 }, jwk] }).to_string()
        };
        let token = sign(Algorithm::ES256, None, &claims(60), &signing);
        let check = |text: String, expected: Result<(), Bad>| {
            assert_eq!(rules(&["ES256"], true).check(&token, &Keys::read(text.as_bytes()).unwrap()), expected, "{text}");
        };
        check(set(jwk.clone(), "use", json!("sig")), Ok(()));
        check(set(jwk.clone(), "alg", json!("ES384")), Err(Bad::Key));
        assert!(Keys::read(set(jwk, "use", json!("enc")).as_bytes()).is_err());
        for bad in ["", "[]", "{}", "{\"keys\": []}", "{\"keys\": 7}"] {
            assert!(Keys::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
