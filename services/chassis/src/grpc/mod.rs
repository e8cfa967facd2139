//! gRPC between the services: what a call carries besides its message.
//!
//! - **Deadlines.** A call has what is left of its caller's time, and never more than [`DEFAULT_DEADLINE`]; the header
//!   is `grpc-timeout`.
//! - **Traces.** The W3C headers travel in the metadata; each call has a client and a server span.
//! - **Errors** are statuses with `google.rpc` details ([`status`]).
//! - **Principals.** A call that changes something says on whose behalf ([`Principal`]), for the record.
//! - **Callers.** Over mutual TLS each method is for the services that [`proto::callers`] names, and refused to others.
//! - **Balancing.** A client goes round all addresses of a name ([`ClientChannel`]).
//! - **Streams** end with UNAVAILABLE when their server stops; who follows one asks again.
//! - **Many calls at a time** share a stream to each replica where that matters ([`multiplex`]).
//! - **Connections** are bounded in number, in all and by address; one more takes the place of one that waits (`incoming`).
//! - **Limits.** A server has so many calls at work and refuses more at once, saying when to come back. The client that
//!   people's requests come through has fewer, as many as are answered soon ([`AdaptiveLimit`]).
//! - **Repeats** are for the one to ask for who is nearest to the person, on calls that may be sent twice
//!   ([`repeatable()`]): retries and hedges, within a budget.

mod adaptive;
mod attempt;
mod call;
mod callers;
mod client;
mod incoming;
mod limit;
mod method;
pub mod multiplex;
mod outlier;
mod principal;
mod repeat;
mod resolve;
pub(crate) mod server;
pub mod status;
mod streams;

use std::time::Duration;

use prost_types::Timestamp;
use time::OffsetDateTime;

pub use adaptive::AdaptiveLimit;
pub use client::ClientChannel;
pub use principal::{Principal, PrincipalKind};
pub use repeat::repeatable;

/// The longest that a call may take.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);
/// The largest message in either direction, in bytes.
pub const MAX_MESSAGE_SIZE: usize = 4 * 1024 * 1024;

/// A point in time as protobuf has it.
pub fn timestamp(time: OffsetDateTime) -> Timestamp {
    // Nanoseconds within a second always fit.
    Timestamp {
        seconds: time.unix_timestamp(),
        nanos: i32::try_from(time.nanosecond()).unwrap_or_default(),
    }
}

/// A point in time from protobuf; none where it is missing or out of range.
pub fn from_timestamp(timestamp: Option<&Timestamp>) -> Option<OffsetDateTime> {
    let timestamp = timestamp?;
    let nanos = i128::from(timestamp.seconds) * 1_000_000_000 + i128::from(timestamp.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}
