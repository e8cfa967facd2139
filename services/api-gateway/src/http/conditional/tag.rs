//! Entity tags, as `If-Match` and `If-None-Match` list them. The crate `headers` has these headers too, but shows none of the
//! tags in them, and the version must be seen.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// What the tag of a compressed answer ends in.
pub(super) const COMPRESSED: &[u8] = b"-gzip";

/// An entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) weak: bool,
    pub(super) opaque: Vec<u8>,
}

/// What `If-Match` or `If-None-Match` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`: whatever there is.
    Any,
    /// One of these.
    Listed(Vec<Tag>),
}

impl Tag {
    /// A server's own, as it stands in `ETag`.
    pub(super) fn of(value: &HeaderValue) -> Option<Self> {
        match Tags::parse(value.as_bytes()) {
            Tags::Listed(tags) => tags.into_iter().next(),
            Tags::Any => None,
        }
    }

    /// The version that the tag names.
    pub(super) fn version(&self) -> Option<i64> {
        let version = self.opaque.split(|byte| *byte == b'-').next()?;
        std::str::from_utf8(version).ok()?.parse().ok()
    }
}

impl Tags {
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (!lines.is_empty()).then(|| Self::parse(&lines.join(&b',')))
    }

    /// The tags of a list; what is none is left out.
    pub(super) fn parse(text: &[u8]) -> Self {
        if text.trim_ascii() == b"*" {
            return Self::Any;
        }
        let (mut tags, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (tag, behind) = Self::first(rest);
            tags.extend(tag);
            rest = behind;
        }
        Self::Listed(tags)
    }

    /// The member that a list begins with, if it is a tag, and what stands behind its comma. Within quotes a comma is a
    /// character as any other.
    fn first(list: &[u8]) -> (Option<Tag>, &[u8]) {
        let list = list.trim_ascii_start();
        let weak = list.starts_with(b"W/");
        let quoted = if weak { &list[2..] } else { list };
        if let Some(text) = quoted.strip_prefix(b"\"")
            && let Some(end) = text.iter().position(|byte| *byte == b'"')
        {
            let behind = text[end + 1..].trim_ascii_start();
            let is_whole = behind.is_empty() || behind.starts_with(b",");
            let opaque = &text[..end];
            if is_whole && opaque.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
                let tag = Tag {
                    weak,
                    opaque: opaque.to_vec(),
                };
                return (Some(tag), behind.get(1..).unwrap_or_default());
            }
        }
        let comma = list.iter().position(|byte| *byte == b',');
        (None, comma.map_or(&[][..], |comma| &list[comma + 1..]))
    }

    /// Strong comparison: a weak tag is never the same.
    pub(super) fn strongly(&self, same: impl Fn(&Tag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| !tag.weak && same(tag)),
        }
    }

    pub(super) fn weakly(&self, same: impl Fn(&Tag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(same),
        }
    }
}

pub(super) fn without_coding(opaque: &[u8]) -> &[u8] {
    opaque.strip_suffix(COMPRESSED).unwrap_or(opaque)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn tags(text: &str) -> Vec<(bool, String)> {
        match Tags::parse(text.as_bytes()) {
            Tags::Any => vec![(false, "any".to_owned())],
            Tags::Listed(tags) => tags
                .into_iter()
                .map(|tag| (tag.weak, String::from_utf8(tag.opaque).unwrap()))
                .collect(),
        }
    }

    #[test]
    fn a_list_has_the_tags_that_it_names_and_nothing_of_what_is_none() {
        let strong = |opaque: &str| (false, opaque.to_owned());
        for (text, expected) in [
            ("*", vec![strong("any")]),
            ("\"1\"", vec![strong("1")]),
            (" \"1\" ,\t\"2\"", vec![strong("1"), strong("2")]),
            ("\"a,b\",,\"c\"", vec![strong("a,b"), strong("c")]),
            ("W/\"1\"", vec![(true, "1".to_owned())]),
            ("\"\"", vec![strong("")]),
            ("1, abc, w/\"1\", \"1\"x, \"2\"", vec![strong("2")]),
            ("*, \"1\"", vec![strong("1")]),
            ("\"1", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(tags(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_list_is_read_back_as_it_was_written(
            written in prop::collection::vec((any::<bool>(), "[!#-~]{0,12}"), 0..6), blank in "[ \t]{0,3}",
        ) {
            let text = |(weak, opaque): &(bool, String)| format!("{}\"{opaque}\"", if *weak { "W/" } else { "" });
            let list: Vec<String> = written.iter().map(text).collect();
            prop_assert_eq!(tags(&list.join(&format!("{blank},{blank}"))), written);
        }

        #[test]
        fn any_bytes_are_a_list(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _tags = Tags::parse(&bytes);
        }

        #[test]
        fn a_weak_tag_never_guards_a_change(opaque in "[!#-~]{0,12}") {
            let tags = Tags::parse(format!("W/\"{opaque}\"").as_bytes());
            prop_assert!(!tags.strongly(|_| true));
            prop_assert!(tags.weakly(|_| true));
        }
    }
}
