//! `Idempotency-Key`: makes a `POST` that makes something safe to repeat. Follows the IETF draft
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.
//!
//! A service keeps the key in the transaction of what it makes. Where the header is not honoured it is refused, for whoever
//! sends it counts on it: see [`not_honoured`].

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use chassis::idempotency::{self, MAX_KEY_LENGTH};
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::{Api, input::single, operations::Operation};
use crate::problem::{FieldError, Problem};

/// The header, as the description of the API names it.
pub(super) const NAME: &str = "Idempotency-Key";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The header that makes a repetition of the request harmless; empty without it.
#[derive(Clone, Debug)]
pub(super) struct IdempotencyKey(pub(super) String);

impl IdempotencyKey {
    /// What the same key must come with again: a digest of what is asked, and of whom; nothing without a key. The request
    /// is without its key.
    pub(super) fn digest(&self, method: &str, request: &impl Message) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut hash = Sha256::new();
        hash.update(method);
        hash.update([0]);
        hash.update(request.encode_to_vec());
        hash.finalize().to_vec()
    }
}

impl FromRequestParts<Api> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        match single(&parts.headers, &IDEMPOTENCY_KEY) {
            Ok(None) => Ok(Self(String::new())),
            Ok(Some(key)) if idempotency::IdempotencyKey::is_valid(key) => Ok(Self(key.to_owned())),
            _ => Err(Problem::invalid_field(
                NAME,
                format!("must be 1 to {MAX_KEY_LENGTH} visible ASCII characters, once"),
            )),
        }
    }
}

/// Whether an answer is an earlier one, as its header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replayed(pub(super) bool);

impl IntoResponseParts for Replayed {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if self.0 {
            let replayed = HeaderValue::from_static("true");
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, replayed);
        }
        Ok(response)
    }
}

/// What is wrong where a `POST` has the header and is not one that honours it.
pub(super) fn not_honoured(operation: Operation, method: &Method, headers: &HeaderMap) -> Option<FieldError> {
    let counts_on_it = method == Method::POST && headers.contains_key(IDEMPOTENCY_KEY);
    (counts_on_it && !operation.takes_key).then(|| FieldError {
        field: NAME.to_owned(),
        detail: "is not honoured here: the request is not made once by it; leave it out".to_owned(),
    })
}
