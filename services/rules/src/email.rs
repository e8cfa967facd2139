//! Email addresses.

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

/// RFC 5321 has no room for more in a path.
pub const MAX_LENGTH: usize = 254;
const MAX_LABEL_LENGTH: usize = 63;

/// An address that mail can be sent to by every server: the grammar of `<input type=email>` in the HTML standard, which is
/// ASCII, so that "without regard to case" means the same here and in the database, whatever its locale.
///
/// An internationalised domain is taken, and kept as the DNS has it, in punycode (IDNA: RFC 5890, mapped by UTS #46): so it
/// is one account however it was typed. A local part that isn't ASCII is refused: it has no such form, and takes servers
/// that speak SMTPUTF8 (RFC 6531) all the way, so mail to it would get lost on some.
///
/// The domain is kept in lower case, and the local part as it was given, since its server may tell cases apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address; the space around it is not part of it.
    ///
    /// # Errors
    /// What is expected of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // No domain becomes shorter by more than this in punycode.
        if text.len() > 4 * MAX_LENGTH {
            return Err(expected());
        }
        let (local, domain) = text.split_once('@').ok_or_else(expected)?;
        if let Some(character) = local.chars().find(|character| !character.is_ascii()) {
            return Err(format!(
                "must have ASCII characters alone before the @, and not U+{:04X}: not every server delivers mail to such an \
                 address (RFC 6531); give another address of that mailbox",
                u32::from(character)
            ));
        }
        if local.is_empty() || !local.bytes().all(is_local) {
            return Err(expected());
        }
        let domain = ascii(domain)?;
        let email = format!("{local}@{domain}");
        if email.len() > MAX_LENGTH {
            return Err(expected());
        }
        Ok(Self(email))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is expected of an address.
fn expected() -> String {
    format!("must be an email address of at most {MAX_LENGTH} characters")
}

/// A domain as the DNS has it, in lower case.
fn ascii(domain: &str) -> Result<String, String> {
    let ascii = if domain.is_ascii() {
        // As it is, for there are accounts whose domain has labels that IDNA would not let be made today.
        domain.to_ascii_lowercase()
    } else {
        Uts46::new()
            .to_ascii(
                domain.as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::Check,
                DnsLength::Verify,
            )
            .map_err(|_| {
                "must have a domain that can be registered (IDNA), or that domain in punycode".to_owned()
            })?
            .into_owned()
    };
    if ascii.split('.').all(is_label) {
        Ok(ascii)
    } else {
        Err(expected())
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

    fn read(text: &str) -> Result<String, String> {
        Email::parse(text).map(|email| email.as_str().to_owned())
    }

    #[test]
    fn an_address_is_trimmed_and_its_domain_is_in_lower_case() {
        assert_eq!(read(" Ada@Example.com\n"), Ok("Ada@example.com".to_owned()));
        assert_eq!(read("ada@ab--cd.example"), Ok("ada@ab--cd.example".to_owned()));
    }

    #[test]
    fn an_international_domain_is_one_however_it_is_typed() {
        for (text, kept) in [
            ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
            ("ada@MU\u{308}NCHEN.example", "ada@xn--mnchen-3ya.example"),
            ("ada@XN--MNCHEN-3YA.Example", "ada@xn--mnchen-3ya.example"),
            ("ada@münchen。example", "ada@xn--mnchen-3ya.example"),
            ("ada@ｍünchen.ｅxample", "ada@xn--mnchen-3ya.example"),
            ("ada@straße.example", "ada@xn--strae-oqa.example"),
            ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ] {
            assert_eq!(read(text), Ok(kept.to_owned()), "{text:?}");
            assert_eq!(read(kept), Ok(kept.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        let long_label = format!("a@{}.com", "b".repeat(64));
        let long_international = format!("a@{}ü.com", "b".repeat(64));
        let too_long = format!("{}@example.com", "a".repeat(243));
        for (text, said) in [
            ("", "email address"),
            ("ada", "email address"),
            ("@example.com", "email address"),
            ("ada@", "email address"),
            ("ada@example..com", "email address"),
            ("ada@-example.com", "email address"),
            ("ada@example-.com", "email address"),
            ("a da@example.com", "email address"),
            ("ada@b@example.com", "email address"),
            ("ada@exam_ple.com", "email address"),
            ("ada\0@example.com", "email address"),
            (&long_label, "email address"),
            (&too_long, "254 characters"),
            (&"ä".repeat(2_000), "254 characters"),
            ("ädä@example.com", "U+00E4"),
            ("用户@example.com", "RFC 6531"),
            ("ada\u{200b}@example.com", "U+200B"),
            ("ada@exä_mple.com", "IDNA"),
            ("ada@exä mple.com", "IDNA"),
            ("ada@ex\u{202e}ample.com", "IDNA"),
            ("ada@ä..com", "IDNA"),
            ("ada@ä@example.com", "IDNA"),
            ("ada@💌-.example", "IDNA"),
            (&long_international, "IDNA"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(said), "{text:?}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_read_as_itself(text in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){1,3}[a-z]{2,6}") {
            prop_assert_eq!(read(&text), Ok(text));
        }

        #[test]
        fn whatever_is_accepted_fits_the_schema_and_is_accepted_again(local in "[a-z]{1,4}", domain in "\\PC{1,12}") {
            if let Ok(email) = read(&format!("{local}@{domain}")) {
                prop_assert!(email.is_ascii() && (3..=MAX_LENGTH).contains(&email.len()));
                prop_assert_eq!(read(&email), Ok(email.clone()));
            }
        }
    }
}
