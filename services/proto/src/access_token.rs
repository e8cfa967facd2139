//! Access tokens: JWTs (RFC 7519) that user-service signs with Ed25519 (`EdDSA`, RFC 8037) and api-gateway checks with
//! the public keys of `GetSigningKeys`, without asking anybody per request. The header's `kid` names the key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The `iss` of every token.
pub const ISSUER: &str = "shop";
/// The `aud` of every token.
pub const AUDIENCE: &str = "shop";

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
