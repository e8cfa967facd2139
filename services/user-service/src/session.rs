//! Sessions. A session is a family of refresh tokens, each good for one refresh, which spends it and gives the next. If
//! a spent one is presented again, somebody has a copy: the thief or the rightful holder, and nobody can tell which, so
//! the whole family ends (RFC 9700, section 4.14.2). Only hashes are kept: who reads the database holds no session.
//!
//! A token is `<session>.<secret>`. The secret is made from the token before it and the session's [`Seed`], so that an
//! answer that was lost on its way can be given again ([`GRACE`]) although nobody keeps it: neither the database nor the
//! old token alone is enough. Its last part proves that the session made it: a spent one is known when its row is gone.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// How long the last spent token still gets its successor: an answer was lost, or two tabs refresh at once.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// The most live sessions of an account. One more ends the one that was used longest ago.
pub(crate) const MOST: i64 = 50;
/// What is kept of a User-Agent, in characters.
const MAX_USER_AGENT: usize = 200;
/// No address is longer.
const MAX_ADDRESS: usize = 100;

const SECRET: usize = 32;
const PROOF: usize = 16;

/// An opaque token of 256 random bits.
#[derive(Debug)]
pub(crate) struct RefreshToken(SecretString);

/// What is kept of a token. No salt and no costly hash: there is nothing to guess in 256 random bits.
pub(crate) type TokenHash = [u8; 32];

/// What the tokens of one session are made with.
#[derive(Clone)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

impl Seed {
    /// A new one.
    pub(crate) fn generate() -> Self {
        Self(rand::random())
    }

    /// HMAC-SHA256 (RFC 2104) under this key.
    fn mac(&self, purpose: &[u8], text: &[u8]) -> [u8; 32] {
        // The key of the function is a block of 64 bytes; a shorter one is filled with zeros.
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256>>::new(&key.into());
        mac.update(purpose);
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}

impl RefreshToken {
    /// The first of a session.
    pub(crate) fn first(session: Uuid, seed: &Seed) -> Self {
        Self::of(session, seed, rand::random())
    }

    /// The one that takes the place of this: always the same.
    pub(crate) fn successor(&self, session: Uuid, seed: &Seed) -> Self {
        Self::of(
            session,
            seed,
            seed.mac(b"successor", self.0.expose_secret().as_bytes()),
        )
    }

    fn of(session: Uuid, seed: &Seed, secret: [u8; SECRET]) -> Self {
        let mut bytes = secret.to_vec();
        bytes.extend_from_slice(&seed.mac(b"proof", &secret)[..PROOF]);
        Self(format!("{session}.{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// One that was presented, of whatever form.
    pub(crate) fn presented(text: String) -> Self {
        Self(text.into())
    }

    /// The session that it says it is of. None for a token of the version before, which named none.
    pub(crate) fn session(&self) -> Option<Uuid> {
        Uuid::try_parse(self.0.expose_secret().split_once('.')?.0).ok()
    }

    /// Whether the session with that seed made it.
    pub(crate) fn is_made_with(&self, seed: &Seed) -> bool {
        let secret = self.0.expose_secret().split_once('.');
        let bytes = secret.and_then(|(_, secret)| URL_SAFE_NO_PAD.decode(secret).ok());
        bytes.is_some_and(|bytes| match bytes.split_at_checked(SECRET) {
            // What an attacker could learn by the time of the comparison is the proof of a token that he made up.
            Some((secret, proof)) => proof == &seed.mac(b"proof", secret)[..PROOF],
            None => false,
        })
    }

    /// What it is known by.
    pub(crate) fn hash(&self) -> TokenHash {
        Sha256::digest(self.0.expose_secret()).into()
    }

    /// The token itself, for its holder.
    pub(crate) fn reveal(&self) -> String {
        self.0.expose_secret().to_owned()
    }
}

/// Where a session is used from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// An IP address; may be empty.
    pub(crate) address: String,
    /// What the program calls itself; may be empty.
    pub(crate) user_agent: String,
}

impl Origin {
    /// What is kept of it.
    pub(crate) fn new(address: &str, user_agent: &str) -> Self {
        let kept = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect();
        Self {
            address: kept(address, MAX_ADDRESS),
            user_agent: kept(user_agent, MAX_USER_AGENT),
        }
    }
}

/// What an access token says of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authentication {
    /// The session.
    pub(crate) session: Uuid,
    /// When the password was given; none where it is not known.
    pub(crate) at: Option<OffsetDateTime>,
}

impl Authentication {
    /// The password was given just now.
    pub(crate) fn now(session: Uuid) -> Self {
        Self {
            session,
            at: Some(OffsetDateTime::now_utc()),
        }
    }
}

/// A live session, as its holder sees it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The family of its refresh tokens.
    pub(crate) id: Uuid,
    /// When it was opened.
    pub(crate) created_at: OffsetDateTime,
    /// When its tokens were renewed last.
    pub(crate) last_used_at: OffsetDateTime,
    /// When it ends if it is not used.
    pub(crate) expires_at: OffsetDateTime,
    /// Where it was used from last.
    pub(crate) origin: Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_not_shown() {
        let (session, seed) = (Uuid::now_v7(), Seed::generate());
        let token = RefreshToken::first(session, &seed);
        assert_eq!(RefreshToken::presented(token.reveal()).hash(), token.hash());
        assert_ne!(RefreshToken::first(session, &seed).hash(), token.hash());
        assert_eq!(token.session(), Some(session));
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }

    #[test]
    fn a_successor_takes_the_seed_and_the_token() {
        let (session, seed) = (Uuid::now_v7(), Seed::generate());
        let token = RefreshToken::first(session, &seed);
        let next = token.successor(session, &seed);
        assert_eq!(next.hash(), token.successor(session, &seed).hash());
        assert_ne!(next.hash(), token.successor(session, &Seed::generate()).hash());
        let other = RefreshToken::first(session, &seed);
        assert_ne!(next.hash(), other.successor(session, &seed).hash());
        let old = RefreshToken::presented("of the version before".to_owned());
        assert!(old.session().is_none() && old.successor(session, &seed).is_made_with(&seed));
    }

    #[test]
    fn what_a_session_did_not_make_is_not_its_own() {
        let (session, seed) = (Uuid::now_v7(), Seed::generate());
        let token = RefreshToken::first(session, &seed);
        assert!(token.is_made_with(&seed));
        assert!(!token.is_made_with(&Seed::generate()));
        for text in [
            "",
            ".",
            "no token",
            &format!("{session}."),
            &format!("{session}.AAAA"),
        ] {
            assert!(
                !RefreshToken::presented(text.to_owned()).is_made_with(&seed),
                "{text}"
            );
        }
    }

    #[test]
    fn of_an_origin_so_much_is_kept() {
        let origin = Origin::new("::1", &format!("a\0{}", "ä".repeat(300)));
        assert_eq!(origin.user_agent, format!("a{}", "ä".repeat(199)));
    }
}
