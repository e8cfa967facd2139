//! Email addresses.

use std::sync::LazyLock;

/// RFC 5321 has no room for more in a path.
const MAX_LENGTH: usize = 254;
const MAX_LABEL_LENGTH: usize = 63;

/// An address in the form that browsers accept: the grammar of `<input type=email>` in the HTML standard. ASCII only
/// (a browser writes an international domain as punycode), so that "without regard to case" means the same here and in
/// the database, whatever its locale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email(String);

/// What is expected of an address.
pub(crate) static EXPECTED: LazyLock<String> =
    LazyLock::new(|| format!("must be an email address of at most {MAX_LENGTH} characters"));

impl Email {
    /// Reads an address; the space around it is not part of it. None where it is no address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.split_once('@')?;
        let valid = text.len() <= MAX_LENGTH
            && !local.is_empty()
            && local.bytes().all(is_local)
            && domain.split('.').all(is_label);
        valid.then(|| Self(text.to_owned()))
    }

    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LENGTH).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_trimmed_and_keep_their_case() {
        assert_eq!(
            Email::parse(" Ada@Example.com\n").unwrap().as_str(),
            "Ada@Example.com"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_label = format!("a@{}.com", "b".repeat(64));
        let too_long = format!("{}@example.com", "a".repeat(243));
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example..com",
            "ada@-example.com",
            "ada@example-.com",
            "a da@example.com",
            "ada@b@example.com",
            "ada@exam_ple.com",
            "ada\0@example.com",
            "ädä@example.com",
            "ada@exämple.com",
            &long_label,
            &too_long,
        ] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_read_as_itself(text in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){1,3}[a-z]{2,6}") {
            prop_assert_eq!(Email::parse(&text), Some(Email(text)));
        }

        #[test]
        fn whatever_is_accepted_fits_the_schema(text in any::<String>()) {
            if let Some(email) = Email::parse(&text) {
                prop_assert!(email.as_str().is_ascii() && (3..=MAX_LENGTH).contains(&email.as_str().len()));
            }
        }
    }
}
