//! What callers see where something is wrong: problem documents of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).
//!
//! The `type` is a reference to the page of the kind ([`problem_types`](crate::problem_types)), whose path is stable, so
//! that programs can rely on it; `detail` is for people; `errors` names each field at fault as the caller wrote it. What the services refuse by gRPC becomes HTTP here and nowhere else.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chassis::grpc::status::{reason, retry_delay};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use utoipa::ToSchema;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";
const INVALID_INPUT: &str = "invalid-input";
const TYPE_PREFIX: &str = "/problems/";
/// After how many seconds it is worth asking a service again that is down or busy.
const COME_BACK: HeaderValue = HeaderValue::from_static("1");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"shop\"");
const CHALLENGE_INVALID: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"shop\", error=\"invalid_token\"");

/// A refusal, or a failure.
#[derive(Clone, Debug)]
pub struct Problem(Box<Contents>);

#[derive(Clone, Debug)]
struct Contents {
    status: StatusCode,
    name: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// One field at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it is: a path into the body such as `items[0].quantity`, a parameter or a header.
    pub field: String,
    /// What is expected.
    pub detail: String,
}

/// Why a request was not served.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// The kind of problem: a path that does not change, where it is described.
    #[serde(rename = "type")]
    #[schema(example = "/problems/insufficient-stock")]
    kind: String,
    /// The same in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong in this case, and what to do.
    detail: String,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// Where to look for this request in traces and logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl Problem {
    /// A problem of that kind; `name` is in kebab case.
    pub fn new(
        status: StatusCode,
        name: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let header = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, COME_BACK)),
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, CHALLENGE)),
            _ => None,
        };
        Self(Box::new(Contents {
            status,
            name: name.into(),
            detail: detail.into(),
            errors: Vec::new(),
            header,
        }))
    }

    /// Whole seconds, as HTTP has them; never sooner than after `delay`.
    fn come_back_in(self, delay: Duration) -> Self {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// With a header that the refusal has beside those of its status; of several the last.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// 422: the request can be read, but these fields make no sense.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => "the request makes no sense as it is".to_owned(),
            [one] => format!("{}: {}", one.field, one.detail),
            many => format!("{} fields make no sense, see errors", many.len()),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, INVALID_INPUT, detail);
        problem.0.errors = errors;
        problem
    }

    /// 422 for one field.
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError {
            field: field.into(),
            detail: detail.into(),
        }])
    }

    /// Both at once, where both say what is wrong with the request; otherwise the one that doesn't, for then it can't be read.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        if self.0.name != INVALID_INPUT {
            return self;
        }
        if other.0.name != INVALID_INPUT {
            return other;
        }
        let errors = self.0.errors.into_iter().chain(other.0.errors);
        Self::invalid(errors.collect())
    }

    /// 401: no token came with a request that needs one.
    pub fn no_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication-required",
            "log in, and send the token as `Authorization: Bearer <token>`",
        )
    }

    /// 401: the token is not valid, or not any more.
    pub fn bad_token(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid-token", detail)
            .with_header(header::WWW_AUTHENTICATE, CHALLENGE_INVALID)
    }

    /// 401: this needs a login of the last `age` ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)).
    pub fn recent_login_required(age: Duration) -> Self {
        let seconds = age.as_secs();
        let problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "recent-login-required",
            format!("this needs a login of the last {seconds} seconds; log in again"),
        );
        let challenge = format!(
            "Bearer realm=\"shop\", error=\"insufficient_user_authentication\", max_age=\"{seconds}\""
        );
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => problem.with_header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }

    /// 403: somebody else may.
    pub fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404 for a resource.
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 408: the rest of the request did not come in time. The connection ends with it, as what comes late can't be told
    /// from another request.
    pub fn request_timeout(detail: &'static str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", detail)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 429, until so many seconds have passed.
    pub fn too_many_requests(seconds: u64) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            format!("too many requests; the next is welcome in {seconds} s"),
        );
        problem.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// 503: more is asked at once than can be served.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "too many requests are at work; try again",
        )
    }

    /// 500: the fault is ours.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "something went wrong here; the trace id names it",
        )
    }

    /// What the HTTP layer refuses before there is a request, with the status that it has for it; as text, for whoever
    /// writes to the connection itself.
    pub fn unreadable(status: StatusCode) -> (&'static str, String) {
        let (name, detail) = match status {
            StatusCode::REQUEST_TIMEOUT => {
                ("request-timeout", "the head of the request did not come in time")
            }
            StatusCode::URI_TOO_LONG => ("uri-too-long", "path and query are too long"),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                "headers-too-large",
                "the headers are too many, or too long together",
            ),
            StatusCode::TOO_MANY_REQUESTS => (
                "too-many-connections",
                "too many connections from this address have a request at work",
            ),
            _ => ("malformed-request", "this is no request of HTTP/1.1"),
        };
        let document = Self::new(status, name, detail).document();
        (MEDIA_TYPE, serde_json::to_string(&document).unwrap_or_default())
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    fn document(self) -> Document {
        let contents = *self.0;
        Document {
            title: title(&contents.name),
            kind: reference(&contents.name),
            status: contents.status.as_u16(),
            detail: contents.detail.into_owned(),
            errors: contents.errors,
            trace_id: chassis::telemetry::trace::trace_id(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, extra) = (self.0.status, self.0.header.clone());
        let mut response = (status, axum::Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some((name, value)) = extra {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let reason = reason(&status);
        let http = match (status.code(), reason.as_deref()) {
            (Code::InvalidArgument, _) => return Self::invalid(field_errors(&status)),
            (_, Some("CALLER_NOT_ALLOWED")) => {
                tracing::error!(
                    message = status.message(),
                    "this gateway may not ask what it has to"
                );
                return Self::internal();
            }
            (Code::Unauthenticated, Some("WRONG_PASSWORD")) | (Code::PermissionDenied, _) => {
                StatusCode::FORBIDDEN
            }
            (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
            (Code::NotFound, _) => StatusCode::NOT_FOUND,
            (Code::FailedPrecondition, Some("IDEMPOTENCY_KEY_REUSED")) => StatusCode::UNPROCESSABLE_ENTITY,
            (Code::Aborted, Some("VERSION_MISMATCH")) => StatusCode::PRECONDITION_FAILED,
            (Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted, _) => StatusCode::CONFLICT,
            (Code::DeadlineExceeded, _) => {
                return Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "timeout",
                    "a service did not answer in time",
                );
            }
            (Code::ResourceExhausted, Some("TOO_MANY_FAILED_ATTEMPTS")) => StatusCode::TOO_MANY_REQUESTS,
            (Code::Unavailable | Code::ResourceExhausted | Code::Cancelled, _) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            (code, _) => {
                tracing::error!(?code, message = status.message(), "a service failed");
                return Self::internal();
            }
        };
        let name = reason.map_or_else(
            || Cow::Borrowed(name_of(http)),
            |reason| Cow::Owned(reason.to_ascii_lowercase().replace('_', "-")),
        );
        let problem = Self::new(http, name, status.message().to_owned());
        match retry_delay(&status) {
            Some(delay)
                if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&http) =>
            {
                problem.come_back_in(delay)
            }
            _ => problem,
        }
    }
}

fn name_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication-required",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        _ => "conflict",
    }
}

/// The `type` of that kind, which leads to its page.
pub(crate) fn reference(name: &str) -> String {
    format!("{TYPE_PREFIX}{name}")
}

/// `insufficient-stock` as `Insufficient stock`.
pub(crate) fn title(name: &str) -> String {
    let mut title = name.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

fn field_errors(status: &Status) -> Vec<FieldError> {
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    let field_error = |violation: tonic_types::FieldViolation| FieldError {
        field: public_field(&violation.field),
        detail: violation.description,
    };
    violations.into_iter().map(field_error).collect()
}

/// A field of a gRPC message under the name that it has in the HTTP API.
pub(crate) fn public_field(field: &str) -> String {
    let renamed = match field {
        "initial_stock" => "stock",
        "price.minor_units" => "price",
        "price.currency_code" => "currency",
        "idempotency_key" => "Idempotency-Key",
        "expected_version" => "If-Match",
        "query" => "q",
        "order_id" => "id",
        other => other,
    };
    match renamed.strip_prefix("lines") {
        Some(rest) => format!("items{rest}"),
        None => renamed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chassis::{
        grpc::status::{overloaded, with_reason, with_reason_and_delay},
        violations::Violations,
    };
    use http_body_util::BodyExt as _;

    use super::*;

    async fn read(problem: Problem) -> (StatusCode, serde_json::Value) {
        let response = problem.into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_reason_and_its_message() {
        let refusal = with_reason(Code::FailedPrecondition, "INSUFFICIENT_STOCK", "only 3 are left");
        let (status, document) = read(refusal.into()).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(
            document,
            serde_json::json!({
                "type": "/problems/insufficient-stock", "title": "Insufficient stock", "status": 409,
                "detail": "only 3 are left",
            })
        );
    }

    #[tokio::test]
    async fn fields_have_the_names_of_the_api() {
        let mut violations = Violations::new();
        for field in ["lines[1].product_id", "price.minor_units", "page", "query"] {
            violations.add(field, "is wrong");
        }
        let (status, document) = read(tonic::Status::from(violations).into()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let fields: Vec<_> = document["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["items[1].product_id", "price", "page", "q"]);
    }

    #[test]
    fn every_code_has_a_status() {
        for (code, reason, expected) in [
            (Code::Unauthenticated, "INVALID_CREDENTIALS", 401),
            (Code::Unauthenticated, "WRONG_PASSWORD", 403),
            (Code::PermissionDenied, "ACCOUNT_DISABLED", 403),
            (Code::NotFound, "ORDER_NOT_FOUND", 404),
            (Code::AlreadyExists, "EMAIL_TAKEN", 409),
            (Code::Aborted, "IDEMPOTENCY_KEY_IN_FLIGHT", 409),
            (Code::Aborted, "VERSION_MISMATCH", 412),
            (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED", 422),
            (Code::FailedPrecondition, "TOO_MANY_OPEN_ORDERS", 409),
            (Code::ResourceExhausted, "HASHING_BUSY", 503),
            (Code::Unavailable, "PEER_UNAVAILABLE", 503),
            (Code::DeadlineExceeded, "", 503),
            (Code::Internal, "", 500),
            (Code::Unimplemented, "", 500),
        ] {
            let problem = Problem::from(with_reason(code, reason, "why"));
            assert_eq!(problem.status().as_u16(), expected, "{code:?} {reason}");
            let waits = problem
                .into_response()
                .headers()
                .contains_key(header::RETRY_AFTER);
            assert_eq!(waits, expected == 503, "{code:?} {reason}");
        }
    }

    #[tokio::test]
    async fn who_is_full_says_when_to_come_back() {
        let problem = Problem::from(overloaded(Duration::from_millis(1_500)));
        let waits = problem.clone().into_response().headers()[header::RETRY_AFTER].clone();
        assert_eq!(waits, "2");
        let (status, document) = read(problem).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(document["type"], "/problems/overloaded");
    }

    #[tokio::test]
    async fn who_failed_too_often_is_told_when_to_come_back() {
        let wait = Duration::from_millis(7_200);
        let refusal = with_reason_and_delay(Code::ResourceExhausted, "TOO_MANY_FAILED_ATTEMPTS", "why", wait);
        let problem = Problem::from(refusal);
        let waits = problem.clone().into_response().headers()[header::RETRY_AFTER].clone();
        assert_eq!(waits, "8");
        let (status, document) = read(problem).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(document["type"], "/problems/too-many-failed-attempts");
    }

    #[tokio::test]
    async fn what_went_wrong_inside_is_not_told() {
        let (_, document) = read(Status::internal("relation users does not exist").into()).await;
        assert!(!document.to_string().contains("relation"), "{document}");
    }
}
