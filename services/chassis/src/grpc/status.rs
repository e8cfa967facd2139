//! Errors of calls: a gRPC code, a message for developers and `google.rpc` details that programs can rely on.
//! `BadRequest` names the fields at fault, `ErrorInfo.reason` is a stable name for everything else.
//! See <https://google.aip.dev/193>.

use std::{collections::HashMap, time::Duration};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt, pb};
use uuid::Uuid;

use crate::violations::Violations;

/// The `ErrorInfo.domain` of all our errors.
pub const DOMAIN: &str = "shop";

impl From<Violations> for Status {
    /// `INVALID_ARGUMENT` with all that is wrong.
    fn from(violations: Violations) -> Self {
        let message = violations.iter().next().map_or_else(
            || "the request is not valid".to_owned(),
            |first| format!("{}: {}", first.field, first.expected),
        );
        let fields: Vec<FieldViolation> = violations
            .iter()
            .map(|violation| FieldViolation::new(&violation.field, &violation.expected))
            .collect();
        Self::with_error_details(
            Code::InvalidArgument,
            message,
            ErrorDetails::with_bad_request(fields),
        )
    }
}

/// `INVALID_ARGUMENT` for one field.
pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Status {
    let (field, description) = (field.into(), description.into());
    let message = format!("{field}: {description}");
    let details = ErrorDetails::with_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Whether that field, and no other, is why a request was refused.
pub fn is_about_field(status: &Status, field: &str) -> bool {
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    !violations.is_empty() && violations.iter().all(|violation| violation.field == field)
}

/// An error with a stable name, in capitals: `EMAIL_TAKEN`.
pub fn with_reason(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    with_reason_and(code, reason, message, [])
}

/// As [`with_reason`], with particulars for programs.
pub fn with_reason_and<const N: usize>(
    code: Code,
    reason: &'static str,
    message: impl Into<String>,
    metadata: [(&str, String); N],
) -> Status {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, DOMAIN, metadata),
    )
}

/// As [`with_reason`], where the same is worth asking again after `come_back`, and not before.
pub fn with_reason_and_delay(
    code: Code,
    reason: &'static str,
    message: impl Into<String>,
    come_back: Duration,
) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_retry_info(Some(come_back));
    Status::with_error_details(code, message, details)
}

/// `UNAVAILABLE` because there is too much to do here; it is worth asking again after `come_back`. Nothing of what was
/// asked is done.
pub fn overloaded(come_back: Duration) -> Status {
    let message = "too many calls are at work; try again";
    with_reason_and_delay(Code::Unavailable, "OVERLOADED", message, come_back)
}

/// When it is worth asking again, where an error says so.
pub fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// The stable name of an error of ours.
pub fn reason(status: &Status) -> Option<String> {
    status
        .get_details_error_info()
        .filter(|info| info.domain == DOMAIN)
        .map(|info| info.reason)
}

/// A status as the answer for one item of a batch.
pub fn to_pb(status: &Status) -> pb::Status {
    // The details of a status are this very message, encoded.
    let details = pb::Status::decode(status.details())
        .map(|status| status.details)
        .unwrap_or_default();
    pb::Status {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        details,
    }
}

/// The answer for one item of a batch as a status.
pub fn from_pb(status: &pb::Status) -> Status {
    Status::with_details(
        Code::from_i32(status.code),
        status.message.clone(),
        status.encode_to_vec().into(),
    )
}

/// The UUID in a field, or `INVALID_ARGUMENT`.
pub fn parse_uuid(field: &str, text: &str) -> Result<Uuid, Status> {
    Uuid::try_parse(text).map_err(|_| invalid_field(field, "must be a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_status_keeps_its_details() {
        let status = with_reason(Code::FailedPrecondition, "INSUFFICIENT_STOCK", "only 3 are left");
        let back = from_pb(&to_pb(&status));
        assert_eq!(
            (back.code(), back.message()),
            (Code::FailedPrecondition, "only 3 are left")
        );
        assert_eq!(reason(&back).as_deref(), Some("INSUFFICIENT_STOCK"));
    }

    #[test]
    fn an_item_of_a_batch_is_refused_for_a_field() {
        let of_item = |status: &Status| from_pb(&to_pb(status));
        let refused = of_item(&invalid_field("type", "is not known"));
        assert!(is_about_field(&refused, "type") && !is_about_field(&refused, "data"));
        assert!(!is_about_field(
            &of_item(&Status::invalid_argument("type")),
            "type"
        ));
        let mut violations = Violations::new();
        violations.add("type", "is not known");
        violations.add("data", "must be a JSON document");
        assert!(!is_about_field(&violations.into(), "type"));
    }

    #[test]
    fn violations_name_their_fields() {
        let mut violations = Violations::new();
        assert!(violations.clone().into_result().is_ok());
        violations.add("lines[0].quantity", "must be from 1 to 10000");
        violations.add("currency", "must be one");
        let fields = Status::from(violations)
            .get_details_bad_request()
            .map(|bad| bad.field_violations);
        let fields: Vec<_> = fields
            .unwrap_or_default()
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(fields, ["lines[0].quantity", "currency"]);
    }
}
