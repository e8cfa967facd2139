//! Access tokens: JWTs (RFC 7519) signed with Ed25519, which anybody can check who has the public keys, without asking
//! this service.

use std::{sync::Arc, time::Duration};

use access_token::{AUDIENCE, Claims, ISSUER, Role as RoleClaim, SignError};
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    session::Authentication,
    signing_key::{KeySet, PublicKey},
    user::{Role, User},
};

/// Issues tokens with the keys as they are now. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Issuer {
    keys: watch::Receiver<Arc<KeySet>>,
    lifetime: Duration,
}

impl Issuer {
    /// With keys that may change, for tokens that are valid for `lifetime`.
    pub(crate) fn new(keys: watch::Receiver<Arc<KeySet>>, lifetime: Duration) -> Self {
        Self { keys, lifetime }
    }

    /// Until a new token expires.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token.
    pub(crate) fn issue(&self, user: &User, authentication: Authentication) -> Result<String, SignError> {
        let keys = self.keys.borrow().clone();
        let now = OffsetDateTime::now_utc();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.id,
            role: match user.role.known() {
                Some(Role::Admin) => RoleClaim::Admin,
                // What a later version's role may do beyond that, only that version knows.
                Some(Role::User) | None => RoleClaim::User,
            },
            iat: now.unix_timestamp(),
            exp: (now + self.lifetime).unix_timestamp(),
            jti: Uuid::now_v7(),
            sid: Some(authentication.session),
            auth_time: authentication.at.map(OffsetDateTime::unix_timestamp),
        };
        keys.signer.sign(&claims)
    }

    /// What the tokens can be checked with.
    pub(crate) fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.borrow().public.clone()
    }
}
