//! Points in time as text: [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) in UTC, always with six digits behind the
//! point, so that their order as texts is their order in time.

use serde::{Serializer, ser::Error as _};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// For serde's `serialize_with`.
#[allow(clippy::ref_option, reason = "serde passes fields so")]
pub(super) fn fixed_width<S: Serializer>(
    time: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        None => serializer.serialize_none(),
        Some(time) => {
            let text = time.to_offset(UtcOffset::UTC).format(FORMAT);
            serializer.serialize_str(&text.map_err(S::Error::custom)?)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_time_has_as_many_digits() {
        for (time, text) in [
            (
                datetime!(2026-01-02 03:04:05 UTC),
                "\"2026-01-02T03:04:05.000000Z\"",
            ),
            (
                datetime!(2026-01-02 03:04:05.12 UTC),
                "\"2026-01-02T03:04:05.120000Z\"",
            ),
            (
                datetime!(2026-01-02 03:04:05.123456789 +1),
                "\"2026-01-02T02:04:05.123456Z\"",
            ),
        ] {
            let mut written = Vec::new();
            fixed_width(&Some(time), &mut serde_json::Serializer::new(&mut written)).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), text);
        }
    }
}
