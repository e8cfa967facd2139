//! The second factor: time-based one-time passwords (TOTP, RFC 6238) as every authenticator app makes them, that is with
//! HMAC-SHA1, six digits and steps of 30 seconds; and recovery codes for whoever has lost the app.
//!
//! A code is taken of the step that is, of the one before and of the one after, for clocks differ (RFC 6238, section 5.2),
//! and no step's twice: whoever has watched a code being typed can do nothing with it.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// Seconds.
const STEP: i64 = 30;
const DIGITS: usize = 6;
/// Steps before and after the one that is.
const SKEW: i64 = 1;
const SECRET: usize = 20;
/// Who is named in the app beside the account.
const ISSUER: &str = "Shop";
/// How many recovery codes an account gets.
pub(crate) const RECOVERY_CODES: usize = 10;
/// Of a recovery code: 80 bits.
const RECOVERY: usize = 10;

/// What codes are made with. Wiped from memory when it is dropped, and never shown by itself.
#[derive(Debug)]
pub(crate) struct Secret(SecretBox<[u8; SECRET]>);

impl Secret {
    /// A new one.
    pub(crate) fn generate() -> Self {
        Self::from_stored(rand::random())
    }

    /// One that was stored.
    pub(crate) fn from_stored(secret: [u8; SECRET]) -> Self {
        Self(SecretBox::new(Box::new(secret)))
    }

    /// To be stored.
    pub(crate) fn to_stored(&self) -> [u8; SECRET] {
        *self.0.expose_secret()
    }

    /// As it is typed into an app: base32 (RFC 4648) without padding.
    pub(crate) fn reveal(&self) -> String {
        BASE32_NOPAD.encode(self.0.expose_secret())
    }

    /// As it is scanned by an app: the URI that all of them read.
    pub(crate) fn uri(&self, email: &str) -> String {
        let account = utf8_percent_encode(email, NON_ALPHANUMERIC);
        let secret = self.reveal();
        format!(
            "otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits={DIGITS}&period={STEP}"
        )
    }

    /// The step whose code that is, where it is taken now: of those around this time, and none up to `last`.
    pub(crate) fn step_of(&self, code: &str, now: OffsetDateTime, last: i64) -> Option<i64> {
        let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if typed.len() != DIGITS || !typed.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let typed: u32 = typed.parse().ok()?;
        let current = now.unix_timestamp().div_euclid(STEP);
        (current - SKEW..=current + SKEW).find(|step| *step > last && self.code(*step) == typed)
    }

    /// HOTP (RFC 4226, section 5.3) of the number of the step.
    fn code(&self, step: i64) -> u32 {
        // The key of the function is a block of 64 bytes; a shorter one is filled with zeros.
        let mut key = [0; 64];
        key[..SECRET].copy_from_slice(self.0.expose_secret());
        let mut mac = <Hmac<Sha1>>::new(&key.into());
        mac.update(&step.to_be_bytes());
        let mac: [u8; 20] = mac.finalize().into_bytes().into();
        let offset = usize::from(mac[19] & 0xf);
        let mut chosen = [0; 4];
        chosen.copy_from_slice(&mac[offset..offset + 4]);
        (u32::from_be_bytes(chosen) & 0x7fff_ffff) % 1_000_000
    }
}

/// Takes the place of a code once.
#[derive(Debug)]
pub(crate) struct RecoveryCode(SecretString);

impl RecoveryCode {
    /// A new one.
    pub(crate) fn generate() -> Self {
        let random: [u8; RECOVERY] = rand::random();
        Self(BASE32_NOPAD.encode(&random).to_lowercase().into())
    }

    /// One that was presented, whatever its case, its dashes and its spaces.
    pub(crate) fn presented(text: &str) -> Self {
        let letters = text.chars().filter(char::is_ascii_alphanumeric).take(64);
        Self(letters.collect::<String>().to_ascii_lowercase().into())
    }

    /// As it is written down: `abcd-efgh-ijkl-mnop`.
    pub(crate) fn reveal(&self) -> String {
        let groups = self.0.expose_secret().as_bytes().chunks(4);
        let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
        groups.join("-")
    }

    /// What is kept of it.
    pub(crate) fn hash(&self, user: Uuid) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(user.as_bytes())
            .chain_update(self.0.expose_secret());
        hash.finalize().into()
    }
}

/// What somebody proves with that he has the second factor.
#[derive(Debug)]
pub(crate) enum Given {
    /// Nothing.
    Nothing,
    /// A code of the app.
    Code(String),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Given {
    /// As it comes: of both the code counts.
    pub(crate) fn from_request(code: Option<String>, recovery_code: Option<&str>) -> Self {
        match (code, recovery_code) {
            (Some(code), _) => Self::Code(code),
            (None, Some(code)) => Self::Recovery(RecoveryCode::presented(code)),
            (None, None) => Self::Nothing,
        }
    }
}

/// Whether somebody has the second factor of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The account has none.
    NotNeeded,
    /// By a code of the app.
    ByCode,
    /// By a recovery code, which is spent now.
    ByRecovery,
    /// He gave nothing.
    Missing,
    /// What he gave is wrong, or spent.
    Wrong,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    /// RFC 6238, appendix B, of whose eight digits the last six are ours.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = Secret::from_stored(*b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(
                secret.step_of(code, at(seconds), 0),
                Some(seconds / 30),
                "{seconds}"
            );
        }
        assert_eq!(secret.reveal(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_is_taken_a_step_early_and_a_step_late_and_once() {
        let secret = Secret::from_stored(*b"12345678901234567890");
        // Of step 37,037,036.
        let (code, step) = (" 081 804 ", 37_037_036);
        for (seconds, taken) in [(-31, false), (-30, true), (0, true), (59, true), (60, false)] {
            let found = secret.step_of(code, at(step * 30 + seconds), 0);
            assert_eq!(found, taken.then_some(step), "{seconds}");
        }
        assert_eq!(secret.step_of(code, at(step * 30), step), None, "spent");
        for wrong in ["", "81804", "0081804", "081805", "08180x", "+81804", "٠٨١٨٠٤"] {
            assert_eq!(secret.step_of(wrong, at(step * 30), 0), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_can_read_the_uri() {
        let secret = Secret::from_stored(*b"12345678901234567890");
        assert_eq!(
            secret.uri("ada+x@example.com"),
            "otpauth://totp/Shop:ada%2Bx%40example%2Ecom?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert!(!format!("{secret:?}").contains("49"), "it is not shown");
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed() {
        let (ada, code) = (Uuid::now_v7(), RecoveryCode::generate());
        let text = code.reveal();
        assert_eq!(text.len(), 19);
        let typed = RecoveryCode::presented(&format!(" {} ", text.to_uppercase().replace('-', " ")));
        assert_eq!(typed.hash(ada), code.hash(ada));
        assert_ne!(code.hash(ada), code.hash(Uuid::now_v7()));
        assert_ne!(RecoveryCode::generate().hash(ada), code.hash(ada));
    }
}
