//! Checking access tokens here, with the public keys of user-service, so that it costs no call to know who calls, and
//! customers can read while user-service is down. What they may do is not said here: see [`crate::authority`].

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use access_token::{Claims, Refusal, VerifyingKey, key_id_of};
use chassis::{grpc::ClientChannel, health::ReadinessFlag};
use moka::sync::Cache;
use proto::user::{GetSigningKeysRequest, user_service_client::UserServiceClient};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::backends::read;

/// Keys are asked for this often, so that one that was withdrawn is forgotten soon.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);
/// And at most this often where a token names a key that is not known: anybody can name any.
const SHORTEST_REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// Until they are known for the first time, the pause between attempts.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// A token longer than this is none of ours.
const MAX_LENGTH: usize = 2_048;
/// Tokens whose signature was checked already.
const REMEMBERED: u64 = 10_000;

/// Why a token does not say who calls.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// Not signed by us, or not a token.
    #[error("the token is not valid; log in again")]
    Invalid,
    /// Was good once.
    #[error("the token has expired; refresh it, or log in again")]
    Expired,
    /// The keys are not known yet.
    #[error("tokens can't be checked now")]
    NoKeys,
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => Self::Invalid,
            Refusal::Expired => Self::Expired,
        }
    }
}

/// Knows who a token speaks for.
#[derive(Debug)]
pub struct Verifier {
    users: UserServiceClient<ClientChannel>,
    keys: RwLock<HashMap<String, VerifyingKey>>,
    asked: Mutex<Option<Instant>>,
    /// Claims by the hash of the token: to check a signature costs as much as the rest of a request.
    verified: Cache<[u8; 32], Claims>,
}

impl Verifier {
    /// With no keys yet; [`Verifier::follow`] fetches them.
    pub fn new(users: UserServiceClient<ClientChannel>) -> Self {
        Self {
            users,
            keys: RwLock::default(),
            asked: Mutex::default(),
            verified: Cache::new(REMEMBERED),
        }
    }

    /// The claims of a token that is genuine and has not expired.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::Invalid);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.verified.get(&hash) {
            if claims.have_expired() {
                self.verified.invalidate(&hash);
                return Err(TokenError::Expired);
            }
            return Ok(claims);
        }
        let key_id = key_id_of(token).ok_or(TokenError::Invalid)?;
        let claims = self.key(&key_id).await?.verify(token)?;
        self.verified.insert(hash, claims.clone());
        Ok(claims)
    }

    /// Keeps the keys up to date until shutdown; ready once they are known.
    pub async fn follow(&self, flag: ReadinessFlag, shutdown: CancellationToken) {
        loop {
            let pause = match self.fetch().await {
                Ok(()) => {
                    flag.ready();
                    REFRESH_INTERVAL
                }
                Err(error) if self.is_empty() => {
                    let problem = error.message();
                    tracing::info!(problem, "waiting for the keys that tokens are checked with");
                    flag.not_ready(problem);
                    FIRST_RETRY
                }
                Err(error) => {
                    let problem = error.message();
                    tracing::warn!(problem, "the keys can't be asked for; those known stay in use");
                    REFRESH_INTERVAL
                }
            };
            let waiting = shutdown.run_until_cancelled(tokio::time::sleep(pause));
            if waiting.await.is_none() {
                return;
            }
        }
    }

    /// The key of that name, asked for if it is new.
    async fn key(&self, id: &str) -> Result<VerifyingKey, TokenError> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        // Whoever held the lock before may have fetched it.
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        if asked.is_none_or(|at| at.elapsed() >= SHORTEST_REFRESH_INTERVAL) {
            *asked = Some(Instant::now());
            if let Err(error) = self.fetch().await {
                tracing::warn!(problem = error.message(), "the keys can't be asked for");
            }
        }
        drop(asked);
        let none = if self.is_empty() {
            TokenError::NoKeys
        } else {
            TokenError::Invalid
        };
        self.known(id).ok_or(none)
    }

    async fn fetch(&self) -> Result<(), Status> {
        let answer = read(
            &self.users,
            GetSigningKeysRequest {},
            |mut users, request| async move { users.get_signing_keys(request).await },
        );
        let mut fetched = HashMap::new();
        for key in answer.await?.keys {
            match VerifyingKey::from_x(&key.x) {
                Ok(decoding) => drop(fetched.insert(key.key_id, decoding)),
                Err(error) => tracing::error!(key_id = key.key_id, %error, "a key can't be used"),
            }
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let withdrawn = keys.keys().any(|id| !fetched.contains_key(id));
        *keys = fetched;
        if withdrawn {
            // What it had signed is good no more, whatever was found before.
            self.verified.invalidate_all();
        }
        Ok(())
    }

    fn known(&self, id: &str) -> Option<VerifyingKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(id).cloned()
    }

    fn is_empty(&self) -> bool {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}
