//! Repeating a request. A client that got no answer sends the same request with the same `Idempotency-Key`, and gets
//! the answer of the first. Follows the IETF draft
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>. Where keys are kept: [`table`].

pub mod table;

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    grpc::status::{parse_uuid, with_reason},
    violations::Violations,
};

/// The longest key.
pub const MAX_KEY_LENGTH: usize = 255;

/// A key and what it was sent with. Keys of different users have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key.
    pub user_id: Uuid,
    /// Visible ASCII.
    pub key: String,
    /// Of the request.
    pub digest: Vec<u8>,
}

/// What the key's earlier request left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAnswer {
    /// Of that request.
    pub digest: Vec<u8>,
    /// What it was answered with, encoded.
    pub answer: Vec<u8>,
}

/// What is to be done with a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// It is the same: give the same answer.
    Replay(Vec<u8>),
    /// It is another one under the same key: a mistake of the client's.
    Reused,
}

/// The refusal of another request under a key that was used.
pub fn reused() -> Status {
    with_reason(
        Code::FailedPrecondition,
        "IDEMPOTENCY_KEY_REUSED",
        "this idempotency key was used with another request",
    )
}

/// The refusal of a request whose twin is being worked on.
pub fn in_flight() -> Status {
    with_reason(
        Code::Aborted,
        "IDEMPOTENCY_KEY_IN_FLIGHT",
        "a request with this idempotency key is being worked on",
    )
}

/// An answer as it was kept.
///
/// # Errors
/// `INTERNAL` where it can't be read, which is told in the log.
pub fn kept_answer<M: Message + Default>(answer: &[u8]) -> Result<M, Status> {
    M::decode(answer).map_err(|error| {
        tracing::error!(%error, "a saved answer can't be read");
        Status::internal("internal error")
    })
}

/// How long keys are kept, from the text of a setting: 24 hours at least.
///
/// # Errors
/// What is wrong with it, in words.
pub fn retention(text: &str) -> Result<Duration, String> {
    let retention = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if retention < Duration::from_hours(24) {
        return Err("must be 24h at least".to_owned());
    }
    Ok(retention)
}

impl IdempotencyKey {
    /// The key of a request, as its message has it: none where `key` is empty.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming `idempotency_key`, or `user_id`, whose key it is.
    pub fn read(user_id: &str, key: String, digest: Vec<u8>) -> Result<Option<Self>, Status> {
        if key.is_empty() {
            return Ok(None);
        }
        let user_id = parse_uuid("user_id", user_id)?;
        if !Self::is_valid(&key) {
            let mut violations = Violations::new();
            violations.add("idempotency_key", "must be 1 to 255 visible ASCII characters");
            return Err(violations.into());
        }
        Ok(Some(Self { user_id, key, digest }))
    }

    /// By what it is known: whose it is, and itself.
    pub fn name(&self) -> (Uuid, String) {
        (self.user_id, self.key.clone())
    }

    /// Whether a client may use it.
    pub fn is_valid(key: &str) -> bool {
        (1..=MAX_KEY_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// What the request is, given what an earlier one left behind.
    pub fn compare(&self, saved: SavedAnswer) -> Repetition {
        if saved.digest == self.digest {
            Repetition::Replay(saved.answer)
        } else {
            Repetition::Reused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_is_replayed_and_another_refused() {
        let key = IdempotencyKey {
            user_id: Uuid::nil(),
            key: "k".to_owned(),
            digest: vec![1],
        };
        let saved = |digest| SavedAnswer {
            digest,
            answer: vec![7],
        };
        assert_eq!(key.compare(saved(vec![1])), Repetition::Replay(vec![7]));
        assert_eq!(key.compare(saved(vec![2])), Repetition::Reused);
    }

    #[test]
    fn keys_are_visible_ascii() {
        assert!(IdempotencyKey::is_valid("8e03978e-40d5-43dd-bc93-6894a57f9324"));
        for wrong in ["", "a key", "ünïcode", "line\nbreak", &"x".repeat(256)] {
            assert!(!IdempotencyKey::is_valid(wrong), "{wrong}");
        }
    }
}
