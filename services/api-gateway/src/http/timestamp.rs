//! Points in time as text: [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) in UTC, always with six digits behind the
//! point, so that their order as texts is their order in time.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};
use time::{
    OffsetDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A point in time as callers write it: RFC 3339, with any offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp(pub(super) OffsetDateTime);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map(Self).map_err(|_| {
            D::Error::custom(
                "must be a time of RFC 3339, such as 2026-01-31T12:00:00Z (in a query a + is written %2B)",
            )
        })
    }
}

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
    fn a_time_is_read_with_any_offset_and_nothing_else_is() {
        let read = |text: &str| {
            let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
                serde::de::IntoDeserializer::into_deserializer(text);
            Timestamp::deserialize(text).map(|Timestamp(time)| time)
        };
        assert_eq!(
            read("2026-01-02T03:04:05.5Z").unwrap(),
            datetime!(2026-01-02 03:04:05.5 UTC)
        );
        assert_eq!(
            read("2026-01-02T03:04:05+02:00").unwrap(),
            datetime!(2026-01-02 01:04:05 UTC)
        );
        for wrong in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05 02:00",
            "1767322800",
        ] {
            assert!(
                read(wrong).unwrap_err().to_string().starts_with("must be a time"),
                "{wrong}"
            );
        }
    }

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
