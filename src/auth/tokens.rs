//! Signing and checking tokens. Time is an argument.

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::Deserialize;

use super::Claims;
use crate::config::Auth;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyTokenError {
    /// It is no JWT, or its claims are not LiveKit's.
    #[error("the token cannot be read: {0}")]
    Malformed(String),
    /// It is unsigned, or signed with another algorithm than HS256.
    #[error("the token must be signed with HS256")]
    Algorithm,
    /// Its `iss` is not an API key of this server.
    #[error("the token's issuer is no API key of this server")]
    UnknownIssuer,
    /// The signature does not fit.
    #[error("the token's signature does not fit its issuer's secret")]
    Signature,
    /// Too old.
    #[error("the token expired {ago} s ago; ask for a new one")]
    Expired {
        /// Seconds since.
        ago: u64,
    },
    /// Too young.
    #[error("the token is only valid in {ahead} s; are the clocks right?")]
    NotYetValid {
        /// Seconds until.
        ahead: u64,
    },
}

/// Why a token is not issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueTokenError {
    /// There is nothing to sign with.
    #[error("there is no API key; run `hive keys` and put what it prints into the configuration")]
    NoKey,
    /// It would live too long.
    #[error(
        "a token may live at most {max} s (auth.max_ttl) and at least 1 s; {asked} s were asked for"
    )]
    Life {
        /// Asked for, in seconds.
        asked: u64,
        /// Permitted, in seconds.
        max: u64,
    },
    /// The signature failed.
    #[error("the token could not be signed: {0}")]
    Sign(String),
}

/// The API keys, ready to sign and to check.
#[derive(Clone)]
pub struct Keyring {
    keys: BTreeMap<String, (DecodingKey, EncodingKey)>,
    default_ttl: Duration,
    max_ttl: Duration,
    leeway: Duration,
}

impl Keyring {
    /// The keys of the configuration.
    pub fn new(auth: &Auth) -> Self {
        let keys = auth
            .keys
            .iter()
            .map(|(key, secret)| {
                let secret = secret.expose().as_bytes();
                (
                    key.clone(),
                    (
                        DecodingKey::from_secret(secret),
                        EncodingKey::from_secret(secret),
                    ),
                )
            })
            .collect();
        Self {
            keys,
            default_ttl: auth.default_ttl,
            max_ttl: auth.max_ttl,
            leeway: auth.leeway,
        }
    }

    /// Checks signature and life at `now` (Unix seconds).
    ///
    /// # Errors
    /// Every [`VerifyTokenError`].
    pub fn verify(&self, token: &str, now: u64) -> Result<Claims, VerifyTokenError> {
        let claims = self.verify_signature(token)?;
        let leeway = self.leeway.as_secs();
        if claims.exp.saturating_add(leeway) <= now {
            return Err(VerifyTokenError::Expired {
                ago: now - claims.exp,
            });
        }
        if let Some(nbf) = claims.nbf.filter(|nbf| *nbf > now.saturating_add(leeway)) {
            return Err(VerifyTokenError::NotYetValid { ahead: nbf - now });
        }
        Ok(claims)
    }

    /// Checks the signature only. For what its holder does with a session that was opened while the token
    /// lived: they must be able to leave after it expired.
    ///
    /// # Errors
    /// [`VerifyTokenError`] but for `Expired` and `NotYetValid`.
    pub fn verify_signature(&self, token: &str) -> Result<Claims, VerifyTokenError> {
        /// Which key to check with; nothing else is believed before the signature is.
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::InvalidAlgorithmName
            | ErrorKind::UnsupportedAlgorithm
            | ErrorKind::MissingAlgorithm => VerifyTokenError::Algorithm,
            // `none` is no variant of its algorithm type, so an unsigned token ends up in serde's words.
            ErrorKind::Json(error) if error.to_string().contains("variant") => {
                VerifyTokenError::Algorithm
            }
            _ => VerifyTokenError::Malformed(error.to_string()),
        })?;
        if header.alg != Algorithm::HS256 {
            return Err(VerifyTokenError::Algorithm);
        }
        let Issuer { iss } = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|error| VerifyTokenError::Malformed(error.to_string()))?;
        let (key, _) = self.keys.get(&iss).ok_or(VerifyTokenError::UnknownIssuer)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map(|data| data.claims)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => VerifyTokenError::Signature,
                ErrorKind::InvalidAlgorithm => VerifyTokenError::Algorithm,
                _ => VerifyTokenError::Malformed(error.to_string()),
            })
    }

    /// Makes a token that says `claims`, signed with the first API key, valid from `now` (Unix seconds). Who
    /// signs and for how long is filled in here.
    ///
    /// # Errors
    /// Every [`IssueTokenError`].
    pub fn issue(
        &self,
        claims: Claims,
        ttl: Option<Duration>,
        now: u64,
    ) -> Result<(String, Claims), IssueTokenError> {
        let iss = self
            .keys
            .keys()
            .next()
            .ok_or(IssueTokenError::NoKey)?
            .clone();
        let ttl = ttl.unwrap_or(self.default_ttl);
        if ttl > self.max_ttl || ttl.as_secs() == 0 {
            return Err(IssueTokenError::Life {
                asked: ttl.as_secs(),
                max: self.max_ttl.as_secs(),
            });
        }
        let claims = Claims {
            iss,
            exp: now.saturating_add(ttl.as_secs()),
            nbf: Some(now),
            ..claims
        };
        Ok((self.sign(&claims)?, claims))
    }

    /// Signs claims with the secret of the API key that they name.
    ///
    /// # Errors
    /// [`IssueTokenError`] but for `Life`.
    pub fn sign(&self, claims: &Claims) -> Result<String, IssueTokenError> {
        let (_, key) = self.keys.get(&claims.iss).ok_or(IssueTokenError::NoKey)?;
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, key)
            .map_err(|error| IssueTokenError::Sign(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    const NOW: u64 = 1_800_000_000;
    const SECRET: &str = "d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo";

    fn keyring() -> Keyring {
        let mut auth = Auth::default();
        auth.keys.insert("key".to_owned(), Secret::new(SECRET));
        Keyring::new(&auth)
    }

    fn joining() -> Claims {
        let (ann, room) = ("ann".parse().expect("id"), "room".parse().expect("room"));
        let mut claims = Claims::joining(ann, &room);
        claims.name = Some("Ann".to_owned());
        claims.video.can_subscribe = Some(false);
        claims
    }

    fn token(ttl: u64) -> String {
        let ttl = Some(Duration::from_secs(ttl));
        keyring().issue(joining(), ttl, NOW).expect("issued").0
    }

    fn signed(header: &str, claims: &str, alg: Algorithm, secret: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let key = EncodingKey::from_secret(secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, alg).expect("signed");
        format!("{message}.{signature}")
    }

    fn claims() -> String {
        format!(
            r#"{{"iss":"key","sub":"ann","exp":{},"video":{{"room":"r","roomJoin":true}}}}"#,
            NOW + 60
        )
    }

    #[test]
    fn what_is_issued_is_accepted() {
        let claims = keyring().verify(&token(60), NOW).expect("valid");
        assert_eq!(claims.sub.as_ref().map(|sub| sub.as_str()), Some("ann"));
        assert_eq!(claims.name.as_deref(), Some("Ann"));
        assert_eq!(claims.video.room.as_deref(), Some("room"));
        assert!(claims.video.may_publish() && !claims.video.may_subscribe());
    }

    #[test]
    fn a_token_lives_from_nbf_to_exp_give_or_take_the_leeway() {
        let (keyring, token) = (keyring(), token(60));
        assert!(keyring.verify(&token, NOW - 10).is_ok());
        assert_eq!(
            keyring.verify(&token, NOW - 11),
            Err(VerifyTokenError::NotYetValid { ahead: 11 })
        );
        assert!(keyring.verify(&token, NOW + 69).is_ok());
        assert_eq!(
            keyring.verify(&token, NOW + 70),
            Err(VerifyTokenError::Expired { ago: 10 })
        );
        assert!(keyring.verify_signature(&token).is_ok());
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let (header, claims) = (r#"{"alg":"none","typ":"JWT"}"#, claims());
        let body = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        assert_eq!(
            keyring().verify(&format!("{body}."), NOW),
            Err(VerifyTokenError::Algorithm)
        );
        assert!(keyring().verify(&body, NOW).is_err());
        let no_signature = token(60)
            .rsplit_once('.')
            .map(|(body, _)| format!("{body}."))
            .expect("three parts");
        assert_eq!(
            keyring().verify(&no_signature, NOW),
            Err(VerifyTokenError::Signature)
        );
    }

    #[test]
    fn another_algorithm_is_refused_even_with_the_right_secret() {
        let token = signed(
            r#"{"alg":"HS512","typ":"JWT"}"#,
            &claims(),
            Algorithm::HS512,
            SECRET,
        );
        assert_eq!(
            keyring().verify(&token, NOW),
            Err(VerifyTokenError::Algorithm)
        );
    }

    #[test]
    fn another_secret_and_another_issuer_are_refused() {
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        let token = signed(
            header,
            &claims(),
            Algorithm::HS256,
            "another secret that is long enough",
        );
        assert_eq!(
            keyring().verify(&token, NOW),
            Err(VerifyTokenError::Signature)
        );
        let token = signed(
            header,
            &claims().replace("\"key\"", "\"kez\""),
            Algorithm::HS256,
            SECRET,
        );
        assert_eq!(
            keyring().verify(&token, NOW),
            Err(VerifyTokenError::UnknownIssuer)
        );
        let token = signed(header, &claims(), Algorithm::HS256, SECRET);
        assert!(keyring().verify(&token, NOW).is_ok());
    }

    #[test]
    fn garbage_and_missing_claims_are_refused() {
        for garbage in [
            "",
            "x",
            "a.b.c",
            "....",
            "eyJhbGciOiJIUzI1NiJ9.e30.",
            "é.é.é",
        ] {
            let refused = keyring().verify(garbage, NOW);
            assert!(
                matches!(refused, Err(VerifyTokenError::Malformed(_))),
                "{garbage}: {refused:?}"
            );
        }
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        for claims in [
            r#"{"iss":"key","sub":"ann"}"#,
            r#"{"sub":"ann","exp":9999999999}"#,
            r#"{"iss":"key","sub":"a\nb","exp":9999999999}"#,
        ] {
            let token = signed(header, claims, Algorithm::HS256, SECRET);
            assert!(
                matches!(
                    keyring().verify(&token, NOW),
                    Err(VerifyTokenError::Malformed(_))
                ),
                "{claims}"
            );
        }
    }

    #[test]
    fn a_servers_token_needs_no_identity() {
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        for claims in [
            r#"{"iss":"key","exp":9999999999,"video":{"roomCreate":true}}"#,
            r#"{"iss":"key","sub":"","exp":9999999999,"video":{"roomCreate":true}}"#,
        ] {
            let token = signed(header, claims, Algorithm::HS256, SECRET);
            let claims = keyring()
                .verify(&token, NOW)
                .expect("as livekit-api makes them");
            assert!(claims.sub.is_none() && claims.video.room_create);
        }
    }

    #[test]
    fn a_token_does_not_outlive_max_ttl() {
        for asked in [0, 86_401] {
            let ttl = Some(Duration::from_secs(asked));
            assert_eq!(
                keyring().issue(joining(), ttl, NOW).map(|_| ()),
                Err(IssueTokenError::Life { asked, max: 86_400 })
            );
        }
        let none = Keyring::new(&Auth::default());
        assert_eq!(
            none.issue(joining(), None, NOW).map(|_| ()),
            Err(IssueTokenError::NoKey)
        );
    }
}
