//! What the client's and the server's side of a call have in common: the deadline that travels with it, its span and
//! its duration.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue};
use opentelemetry::{KeyValue, metrics::Histogram, trace::SpanContext};
use tonic::Code;
use tracing::Span;

use super::method;
use crate::telemetry::{DURATION_BOUNDARIES, meter, trace::Scope};

tokio::task_local! {
    /// When the call that is being answered must be over. Calls made meanwhile get what is left.
    pub(super) static DEADLINE: Instant;
}

const TIMEOUT_HEADER: &str = "grpc-timeout";
/// The header's number has at most eight digits.
const MOST_MILLISECONDS: u128 = 99_999_999;

/// What is left until the deadline of the call being answered, and at most `most`.
pub(super) fn time_left(most: Duration) -> Duration {
    DEADLINE
        .try_with(|deadline| deadline.saturating_duration_since(Instant::now()))
        .map_or(most, |left| left.min(most))
}

/// Writes the `grpc-timeout` header. See <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>.
pub(super) fn write_timeout(headers: &mut HeaderMap, timeout: Duration) {
    let milliseconds = timeout.as_millis().clamp(1, MOST_MILLISECONDS);
    if let Ok(value) = HeaderValue::from_str(&format!("{milliseconds}m")) {
        headers.insert(TIMEOUT_HEADER, value);
    }
}

/// Reads the `grpc-timeout` header; one that is malformed counts as absent.
pub(super) fn read_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT_HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number = digits.parse::<u64>().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The side of a call that a record is of.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

/// One side's record of one call: its part in the trace, and its duration by outcome.
pub(super) struct CallRecord {
    side: Side,
    method: &'static str,
    began: Instant,
    pub(super) scope: Scope,
}

impl CallRecord {
    /// Of a call that the current scope makes. `path` is the request's path: `/shop.order.v1.OrderService/GetOrder`.
    pub(super) fn made(path: &str) -> Self {
        let known = method::known(path);
        let scope = Scope::child(|| span(path, known, "client"));
        Self::begin(Side::Client, known, scope)
    }

    /// Of a call that is answered.
    pub(super) fn answered(path: &str, caller: Option<SpanContext>) -> Self {
        let known = method::known(path);
        let scope = Scope::remote(caller, || span(path, known, "server"));
        Self::begin(Side::Server, known, scope)
    }

    fn begin(side: Side, known: Option<&'static str>, scope: Scope) -> Self {
        Self {
            side,
            method: known.unwrap_or(method::OTHER),
            began: Instant::now(),
            scope,
        }
    }

    /// Notes the outcome. On the server's side only what is the server's fault makes the span an error.
    pub(super) fn end(self, code: Code) {
        let name = code_name(code);
        let span = self.scope.span();
        span.record("rpc.response.status_code", name);
        let failed = match self.side {
            Side::Client => code != Code::Ok,
            Side::Server => matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
        };
        if failed {
            span.record("error.type", name);
            span.record("otel.status_code", "ERROR");
        }
        let durations = match self.side {
            Side::Client => &CLIENT_DURATION,
            Side::Server => &SERVER_DURATION,
        };
        durations.record(
            self.began.elapsed().as_secs_f64(),
            &[
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", self.method),
                KeyValue::new("rpc.response.status_code", name),
            ],
        );
    }
}

/// The conventions name the span by the fully qualified method, and by the system where somebody made the method up.
fn span(path: &str, known: Option<&'static str>, kind: &str) -> Span {
    tracing::info_span!(
        "rpc",
        otel.name = known.unwrap_or("grpc"),
        otel.kind = kind,
        rpc.system.name = "grpc",
        rpc.method = known.unwrap_or(method::OTHER),
        rpc.method_original = known.is_none().then(|| method::original(path)),
        server.address = tracing::field::Empty,
        server.port = tracing::field::Empty,
        rpc.response.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    )
}

/// The outcome as the answer's headers have it. An error that came before any message stands there; a success is only
/// known at the end of the body, and counts as one here.
pub(super) fn code_of(headers: &HeaderMap) -> Code {
    headers
        .get("grpc-status")
        .map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

static CLIENT_DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    meter()
        .f64_histogram("rpc.client.call.duration")
        .with_description(
            "Time from making a call to its answer, by method and status; a stream that calls share is one more",
        )
        .with_unit("s")
        .with_boundaries(DURATION_BOUNDARIES.to_vec())
        .build()
});
static SERVER_DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    meter()
        .f64_histogram("rpc.server.call.duration")
        .with_description(
            "Time from a call to its answer, by method and status; a stream that calls share is one more",
        )
        .with_unit("s")
        .with_boundaries(DURATION_BOUNDARIES.to_vec())
        .build()
});

/// The code's name in the protocol, as the conventions want it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Duration> {
        let value = HeaderValue::from_str(text).ok()?;
        read_timeout(&HeaderMap::from_iter([(
            http::HeaderName::from_static(TIMEOUT_HEADER),
            value,
        )]))
    }

    #[test]
    fn timeouts_are_read_in_every_unit_and_written_in_milliseconds() {
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for malformed in ["", "S", "2", "2x", "123456789m", "-1m", "é"] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
        let mut headers = HeaderMap::new();
        write_timeout(&mut headers, Duration::from_micros(1_500));
        assert_eq!(read_timeout(&headers), Some(Duration::from_millis(1)));
    }
}
