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
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    User,
    /// Also keeps products, stock, orders and accounts.
    Admin,
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
