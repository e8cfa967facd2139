//! Back-off after wrong passwords: how long the next attempt has to wait, and whose attempts are counted together.
//!
//! The first [`FREE`] attempts in a row are looked at as they come; from then on each failure makes the next wait twice as
//! long, up to [`LONGEST`]. What comes before is refused without being looked at, right or wrong. That slows a guesser who
//! has sixty addresses as much as one who has one, and would lock the owner out, were there one count for an account.
//! There are several, called lanes:
//!
//! - an **email**'s, for whoever comes with it and nothing else. Whether an account has it makes no difference;
//! - a known **device**'s: it sends the token that it got when it logged in there before ([`DeviceToken`]);
//! - that of whoever is **logged in** and has to give the current password once more. A stolen access token neither locks
//!   the owner out of logging in, nor is it stopped by strangers who try to.
//!
//! An attempt is counted before it is looked at, and taken back when it was right, in the database, where all replicas
//! agree: a hundred at once are a hundred.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rules::email::Email;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Attempts in a row that may fail before the next has to wait.
pub(crate) const FREE: i32 = 10;
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(15);
/// When failures are forgotten, after the last of them.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(24);
/// The most lanes that are remembered. Past it those with the fewest failures go first: somebody who tries made-up emails
/// can't make an account's failures be forgotten, unless he fails as often with each of them.
pub(crate) const MOST_LANES: i64 = 100_000;

/// How long a device stays known that is not used.
pub(crate) const DEVICE_LIFETIME: Duration = Duration::from_hours(180 * 24);
/// The most known devices of an account. One more takes the place of the one that was used longest ago.
pub(crate) const MOST_DEVICES: i64 = 20;

/// In seconds: after [`FREE`] failures in a row, after one more, and so on; the last holds for all that follow.
pub(crate) fn waits() -> Vec<f64> {
    let mut waits = vec![SHORTEST];
    while let Some(last) = waits.last().copied().filter(|last| *last < LONGEST) {
        waits.push((2 * last).min(LONGEST));
    }
    waits.iter().map(Duration::as_secs_f64).collect()
}

/// Whose attempts are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane([u8; 32]);

impl Lane {
    /// Of whoever comes with that email, however it is written, and whether or not it is one.
    pub(crate) fn of_email(text: &str) -> Self {
        let email = Email::parse(text);
        let text = email.as_ref().map_or(text.trim(), Email::as_str);
        Self::of(b"email", text.to_lowercase().as_bytes())
    }

    /// Of a device that is known.
    pub(crate) fn of_device(token: &DeviceToken) -> Self {
        Self::of(b"device", &token.hash())
    }

    /// Of whoever is logged in with that account.
    pub(crate) fn of_holder(user: Uuid) -> Self {
        Self::of(b"holder", user.as_bytes())
    }

    fn of(kind: &[u8], text: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update(kind)
                .chain_update([0])
                .chain_update(text)
                .finalize()
                .into(),
        )
    }

    /// What it is stored as.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a device is known by: 256 random bits.
#[derive(Clone, Debug)]
pub(crate) struct DeviceToken(SecretString);

impl DeviceToken {
    const LENGTH: usize = 43;

    /// A new one.
    pub(crate) fn generate() -> Self {
        let secret: [u8; 32] = rand::random();
        Self(URL_SAFE_NO_PAD.encode(secret).into())
    }

    /// One that was presented. None where it has not the form of one.
    pub(crate) fn presented(text: String) -> Option<Self> {
        (text.len() == Self::LENGTH).then(|| Self(text.into()))
    }

    /// What is kept of it. No salt and no costly hash: there is nothing to guess in 256 random bits.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose_secret()).into()
    }

    /// The token itself, for its holder.
    pub(crate) fn reveal(&self) -> String {
        self.0.expose_secret().to_owned()
    }
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It is looked at. It is the so-manieth in a row that is not known to be right.
    Counted(i32),
    /// It is refused, as are all others, for so long.
    Refused(Duration),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_wait_is_twice_as_long_up_to_a_quarter_of_an_hour() {
        let waits = waits();
        assert_eq!(waits[..3], [1.0, 2.0, 4.0]);
        assert_eq!(waits.last(), Some(&900.0));
        assert!(waits.is_sorted() && waits.len() == 11, "{waits:?}");
    }

    #[test]
    fn lanes_are_apart_and_an_email_has_one() {
        let token = DeviceToken::generate();
        let user = Uuid::now_v7();
        assert_eq!(
            Lane::of_email(" Ada@Example.com"),
            Lane::of_email("ada@example.com")
        );
        assert_eq!(
            Lane::of_email("ada@MÜNCHEN.example"),
            Lane::of_email("Ada@xn--mnchen-3ya.example")
        );
        assert_ne!(
            Lane::of_email("ada@example.com"),
            Lane::of_email("bob@example.com")
        );
        assert_ne!(Lane::of_device(&token), Lane::of_device(&DeviceToken::generate()));
        assert_ne!(Lane::of_holder(user), Lane::of_email(&user.to_string()));
    }

    #[test]
    fn a_device_is_known_by_a_hash_and_its_token_is_not_shown() {
        let token = DeviceToken::generate();
        let presented = DeviceToken::presented(token.reveal()).unwrap();
        assert_eq!(presented.hash(), token.hash());
        assert!(!format!("{token:?}").contains(&token.reveal()));
        for text in ["", "too short", &"x".repeat(44)] {
            assert!(DeviceToken::presented(text.to_owned()).is_none(), "{text}");
        }
    }
}
