//! Sessions. A session is a family of refresh tokens, each good for one refresh, which spends it and gives the next. If
//! a spent one is presented again, somebody has a copy: the thief or the rightful holder, and nobody can tell which, so
//! the whole family ends (RFC 9700, section 4.14.2). Only hashes are kept: who reads the database holds no session.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// An opaque token of 256 random bits.
#[derive(Debug)]
pub(crate) struct RefreshToken(SecretString);

/// What is kept of a token. No salt and no costly hash: there is nothing to guess in 256 random bits.
pub(crate) type TokenHash = [u8; 32];

impl RefreshToken {
    /// A new one.
    pub(crate) fn generate() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// One that was presented, of whatever form.
    pub(crate) fn presented(text: String) -> Self {
        Self(text.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_not_shown() {
        let token = RefreshToken::generate();
        assert_eq!(RefreshToken::presented(token.reveal()).hash(), token.hash());
        assert_ne!(RefreshToken::generate().hash(), token.hash());
        assert_eq!(token.reveal().len(), 43, "256 bits in base64");
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }
}
