//! Access tokens: JWTs (RFC 7519) that user-service signs with Ed25519 (`EdDSA`, RFC 8037) and api-gateway checks with
//! the public keys of `GetSigningKeys`, without asking anybody per request. The header's `kid` names the key.
//!
//! [`Signer`] makes them, [`VerifyingKey`] checks them, and [`Claims`] are what they say. What is behind it is
//! jsonwebtoken, which nobody else here depends on.

mod eddsa;

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// The `iss` of every token.
pub const ISSUER: &str = "shop";
/// The `aud` of every token.
pub const AUDIENCE: &str = "shop";

/// What clocks may differ by, in seconds.
const LEEWAY: u64 = 5;

/// What every token must say.
static VALIDATION: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.leeway = LEEWAY;
    validation
});

/// What its holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", from = "String")]
pub enum Role {
    /// Buys. Also what a role of a later version is read as: the least rights there are.
    User,
    /// Also keeps products, stock, orders and accounts.
    Admin,
}

impl From<String> for Role {
    fn from(name: String) -> Self {
        match name.as_str() {
            "admin" => Self::Admin,
            _ => Self::User,
        }
    }
}

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`].
    pub aud: String,
    /// The account.
    pub sub: Uuid,
    /// What it could do when the token was issued.
    pub role: Role,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
    /// Its own name.
    pub jti: Uuid,
    /// The session that it belongs to. None in tokens of a version that named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// When the password was given, in seconds since 1970 (`OpenID` Connect Core, section 2). None where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
}

impl Claims {
    /// Whether they are good no more.
    pub fn have_expired(&self) -> bool {
        let leeway = i64::try_from(LEEWAY).unwrap_or_default();
        self.exp + leeway < OffsetDateTime::now_utc().unix_timestamp()
    }
}

/// A token can't be made: the key is none, or the claims can't be written.
#[derive(Debug, thiserror::Error)]
#[error("the token can't be signed: {0}")]
pub struct SignError(jsonwebtoken::errors::Error);

/// A key that can't be read. Says nothing of the key itself.
#[derive(Debug, thiserror::Error)]
#[error("no Ed25519 public key: {0}")]
pub struct KeyError(jsonwebtoken::errors::Error);

/// Why a token says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not signed with that key, not ours, or not a token.
    #[error("the token is not valid")]
    Invalid,
    /// Was good once.
    #[error("the token has expired")]
    Expired,
}

/// What signs.
#[derive(Clone)]
pub struct Signer {
    key_id: String,
    key: EncodingKey,
}

impl Signer {
    /// A private key in PKCS#8, which tokens name by `key_id`. What is no key is found out by [`Self::sign`].
    pub fn new(key_id: String, pkcs8: &[u8]) -> Self {
        eddsa::install();
        Self {
            key_id,
            key: EncodingKey::from_ed_der(pkcs8),
        }
    }

    /// How tokens name it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A token that says so.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(SignError)
    }
}

/// What checks.
#[derive(Clone, Debug)]
pub struct VerifyingKey(DecodingKey);

impl VerifyingKey {
    /// The key whose `x` member of a JWK (RFC 8037) is that.
    pub fn from_x(x: &str) -> Result<Self, KeyError> {
        eddsa::install();
        DecodingKey::from_ed_components(x).map(Self).map_err(KeyError)
    }

    /// What a token says, if it was signed with this key, is the shop's, and has not expired.
    pub fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        match jsonwebtoken::decode(token, &self.0, &VALIDATION) {
            Ok(token) => Ok(token.claims),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => Err(Refusal::Expired),
            Err(_) => Err(Refusal::Invalid),
        }
    }
}

/// The name of the key that a token says it was signed with. Anybody can make up a token that names any.
pub fn key_id_of(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};

    use super::*;

    fn claims(exp: i64) -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: Uuid::nil(),
            role: Role::Admin,
            iat: 0,
            exp,
            jti: Uuid::nil(),
            sid: Some(Uuid::nil()),
            auth_time: Some(0),
        }
    }

    fn pair(seed: u8) -> (Signer, VerifyingKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let signer = Signer::new(format!("key {seed}"), key.to_pkcs8_der().unwrap().as_bytes());
        (signer, VerifyingKey::from_x(&x).unwrap())
    }

    #[test]
    fn what_one_key_signs_that_key_alone_verifies() {
        let ((signer, key), (_, other)) = (pair(1), pair(2));
        let claims = claims(OffsetDateTime::now_utc().unix_timestamp() + 60);
        let token = signer.sign(&claims).unwrap();
        assert_eq!(key_id_of(&token).as_deref(), Some("key 1"));
        assert_eq!(key.verify(&token), Ok(claims));
        assert_eq!(other.verify(&token), Err(Refusal::Invalid));
        for changed in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[changed] = if bytes[changed] == b'A' { b'Q' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert_eq!(key.verify(&altered), Err(Refusal::Invalid), "at {changed}");
        }
    }

    #[test]
    fn what_has_expired_is_told_from_what_was_never_good() {
        let (signer, key) = pair(1);
        let token = signer.sign(&claims(1)).unwrap();
        assert_eq!(key.verify(&token), Err(Refusal::Expired));
        let (header, rest) = token.split_once('.').unwrap();
        assert!(!header.is_empty());
        for algorithm in ["none", "HS256", "RS256", "ES256"] {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#));
            assert_eq!(
                key.verify(&format!("{header}.{rest}")),
                Err(Refusal::Invalid),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn a_token_of_a_version_without_sessions_says_who_calls() {
        let (signer, key) = pair(1);
        let before = Claims {
            sid: None,
            auth_time: None,
            ..claims(OffsetDateTime::now_utc().unix_timestamp() + 60)
        };
        let payload = serde_json::to_value(&before).unwrap();
        assert!(payload.get("sid").is_none() && payload.get("auth_time").is_none());
        assert_eq!(key.verify(&signer.sign(&before).unwrap()), Ok(before));
    }

    #[test]
    fn what_is_no_key_is_an_error() {
        let no_key = Signer::new("none".to_owned(), b"no key");
        no_key.sign(&claims(0)).unwrap_err();
        // The right alphabet, and too short: found out when it is used.
        let (signer, _) = pair(1);
        let short = VerifyingKey::from_x("AAAA").unwrap();
        assert_eq!(
            short.verify(&signer.sign(&claims(1)).unwrap()),
            Err(Refusal::Invalid)
        );
        VerifyingKey::from_x("not base64!").unwrap_err();
    }

    #[test]
    fn a_later_versions_role_has_the_least_rights() {
        for (name, role) in [
            (r#""admin""#, Role::Admin),
            (r#""user""#, Role::User),
            (r#""auditor""#, Role::User),
        ] {
            assert!(
                serde_json::from_str::<Role>(name).is_ok_and(|read| read == role),
                "{name}"
            );
        }
    }
}
