//! Repeating a request. A client that got no answer sends the same request with the same `Idempotency-Key`, and gets
//! the answer of the first. Follows the IETF draft
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.

use uuid::Uuid;

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
    /// Its order, as an encoded `shop.order.v1.Order`.
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

impl IdempotencyKey {
    /// By what it is known: whose it is, and itself.
    pub fn name(&self) -> (Uuid, String) {
        (self.user_id, self.key.clone())
    }

    /// Whether a client may use it.
    pub fn is_valid(key: &str) -> bool {
        (1..=MAX_KEY_LENGTH).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
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
        for wrong in ["", "ünïcode", "line\nbreak", &"x".repeat(256)] {
            assert!(!IdempotencyKey::is_valid(wrong), "{wrong}");
        }
    }
}
