//! Values of the contracts' enums as text. A later version of a service may send one that this version has no number for:
//! it is shown by the name that came with it, and never turned into another.

use prost::UnknownEnumValue;

/// What is shown of a number that nothing is known of, not even a name.
const UNKNOWN: &str = "unknown";

/// The name that came with a value; where an earlier version of the service sent none, what this version calls the number:
/// `as_str_name` is that of the contract, without its `prefix` and in lower case.
pub(super) fn text(name: &str, as_str_name: Result<&str, UnknownEnumValue>, prefix: &str) -> String {
    match (name, as_str_name) {
        ("", Ok(known)) => known.strip_prefix(prefix).unwrap_or(known).to_ascii_lowercase(),
        ("", Err(_)) => UNKNOWN.to_owned(),
        (name, _) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proto::order::{OrderStatus, RejectionReason};

    use super::*;

    #[test]
    fn a_value_is_shown_by_its_name_or_else_by_its_number_and_never_as_another() {
        let status = |name, number| {
            let known = OrderStatus::try_from(number).map(|status| status.as_str_name());
            text(name, known, "ORDER_STATUS_")
        };
        assert_eq!(status("", 4), "cancelled");
        assert_eq!(status("packed", 0), "packed");
        assert_eq!(status("packed", 77), "packed");
        assert_eq!(status("", 77), "unknown");
        assert_eq!(status("", 0), "unspecified");
        let reason = RejectionReason::ProductNotFound.as_str_name();
        assert_eq!(text("", Ok(reason), "REJECTION_REASON_"), "product_not_found");
    }
}
