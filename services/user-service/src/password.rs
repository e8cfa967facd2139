//! Passwords: which are allowed, and how they are kept: Argon2id with OWASP's minimum (m = 19456 KiB, t = 2, p = 1), in
//! the PHC string format, so that a hash says by itself how it was made and the parameters can be raised one day.
//!
//! Which may be chosen says [`rules::password`].

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use rand::random;
use rules::password::{LENGTHS, LONGEST_TYPED, chosen, normalized};
use secrecy::{ExposeSecret as _, SecretString};

const HASH_LENGTH: usize = 32;

/// A password of an allowed length, in characters, and in NFKC. Wiped from memory when it is dropped, and never shown.
#[derive(Clone, Debug)]
pub(crate) struct Password {
    normalized: SecretString,
    /// As it was typed, where that differs: how versions before 0.2 hashed it.
    typed: Option<SecretString>,
}

impl Password {
    /// One that is presented, good or weak. None where no password was ever so short or long.
    pub(crate) fn presented(text: String) -> Option<Self> {
        let typed = SecretString::from(text);
        // Nobody counts the characters of a text that can't have so few.
        if typed.expose_secret().len() > 4 * LONGEST_TYPED {
            return None;
        }
        let normalized = SecretString::from(normalized(typed.expose_secret()));
        let fits = |text: &SecretString| LENGTHS.contains(&text.expose_secret().chars().count());
        let same = typed.expose_secret() == normalized.expose_secret();
        (fits(&normalized) || fits(&typed)).then(|| Self {
            normalized,
            typed: (!same).then_some(typed),
        })
    }

    /// A new one for an account with that email and name, or what is expected of it.
    pub(crate) fn chosen(text: String, email: &str, name: &str) -> Result<Self, String> {
        chosen(&text, email, name)?;
        Self::presented(text).ok_or_else(rules::password::expected)
    }

    /// Whether it may be chosen for an account with that email and name, or what is expected of it.
    pub(crate) fn check_strength(&self, email: &str, name: &str) -> Result<(), String> {
        chosen(self.normalized.expose_secret(), email, name)
    }

    /// What a stored hash may be of: as it is hashed now, and as it was once.
    fn candidates(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.normalized)
            .chain(&self.typed)
            .map(|text| text.expose_secret().as_bytes())
    }
}

/// The hash of a password, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct PasswordHash(SecretString);

/// Why a password can't be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The algorithm refuses its input.
    #[error("argon2 failed: {0}")]
    Argon2(#[from] argon2::Error),
    /// The stored hash is no Argon2 hash in the PHC string format.
    #[error("the stored password hash can't be read: {0}")]
    Unreadable(#[from] argon2::password_hash::phc::Error),
    /// The stored hash names parameters that this service does not know.
    #[error("the stored password hash has unknown parameters: {0}")]
    Unknown(#[from] argon2::password_hash::Error),
    /// The stored hash lacks its salt or its hash.
    #[error("the stored password hash is incomplete")]
    Incomplete,
}

impl PasswordHash {
    /// A hash that was stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The hash of no password at all, as costly to compare with as any other: for accounts that do not exist.
    pub(crate) fn of_no_password() -> Result<Self, PasswordError> {
        phc(&random(), &random())
    }

    /// The PHC string.
    pub(crate) fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The working memory of Argon2, 19 MiB: taken once and used again, since to take and clear it costs as much as a part
/// of the hash, and the allocator may not give it back.
#[derive(Default)]
pub(crate) struct Memory(Vec<Block>);

impl Memory {
    /// Hashes a password with a new salt.
    pub(crate) fn hash(&mut self, password: &Password) -> Result<PasswordHash, PasswordError> {
        let salt: [u8; Salt::RECOMMENDED_LENGTH] = random();
        let mut hash = [0; HASH_LENGTH];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
        self.fill(
            &argon2,
            password.normalized.expose_secret().as_bytes(),
            &salt,
            &mut hash,
        )?;
        phc(&salt, &hash)
    }

    /// Whether it is the password of that hash, compared in constant time.
    pub(crate) fn matches(
        &mut self,
        password: &Password,
        stored: &PasswordHash,
    ) -> Result<bool, PasswordError> {
        let stored = Phc::new(stored.as_str())?;
        let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else {
            return Err(PasswordError::Incomplete);
        };
        let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
        let version = stored.version.map_or(Ok(Version::default()), Version::try_from)?;
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored)?);
        let mut hash = [0; Output::MAX_LENGTH];
        let hash = hash.get_mut(..expected.len()).ok_or(PasswordError::Incomplete)?;
        for candidate in password.candidates() {
            self.fill(&argon2, candidate, &salt, hash)?;
            if Output::new(hash)? == expected {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fill(
        &mut self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        hash: &mut [u8],
    ) -> Result<(), argon2::Error> {
        let blocks = argon2.params().block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        argon2.hash_password_into_with_memory(password, salt, hash, &mut self.0)
    }
}

fn phc(
    salt: &[u8; Salt::RECOMMENDED_LENGTH],
    hash: &[u8; HASH_LENGTH],
) -> Result<PasswordHash, PasswordError> {
    let phc = Phc {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&Params::DEFAULT)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(hash)?),
    };
    Ok(PasswordHash(phc.to_string().into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn password(text: &str) -> Password {
        Password::presented(text.to_owned()).unwrap()
    }

    #[test]
    fn a_hash_matches_its_password_alone() {
        let mut memory = Memory::default();
        let hash = memory.hash(&password("correct horse")).unwrap();
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "OWASP's minimum"
        );
        assert!(memory.matches(&password("correct horse"), &hash).unwrap());
        assert!(!memory.matches(&password("Correct horse"), &hash).unwrap());
        let again = memory.hash(&password("correct horse")).unwrap();
        assert_ne!(hash.as_str(), again.as_str(), "each has a salt of its own");
        let nobody = PasswordHash::of_no_password().unwrap();
        assert!(!memory.matches(&password("correct horse"), &nobody).unwrap());
        assert_eq!(
            (nobody.as_str().len(), &nobody.as_str()[..31]),
            (hash.as_str().len(), &hash.as_str()[..31])
        );
    }

    #[test]
    fn a_hash_with_other_parameters_still_matches() {
        // From the reference implementation: echo -n password | argon2 somesaltsomesalt -id -t 2 -k 256 -p 1 -e
        let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                      yrdGtGIZk/3JHsUHh5gLQUqQppLwvGjf4Z+cJbPLqew";
        let stored = PasswordHash::from_stored(stored.to_owned());
        let mut memory = Memory::default();
        assert!(memory.matches(&password("password"), &stored).unwrap());
        assert!(!memory.matches(&password("passwore"), &stored).unwrap());
    }

    #[test]
    fn what_is_no_hash_is_an_error_and_no_match() {
        let mut memory = Memory::default();
        for stored in [
            "",
            "password",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$2b$12$abcdefghijk",
        ] {
            let stored = PasswordHash::from_stored(stored.to_owned());
            assert!(memory.matches(&password("password"), &stored).is_err());
        }
    }

    #[test]
    fn neither_passwords_nor_hashes_are_shown() {
        let shown = format!(
            "{:?} {:?}",
            password("correct horse"),
            PasswordHash::of_no_password()
        );
        assert!(!shown.contains("horse") && !shown.contains("argon2"), "{shown}");
    }

    #[test]
    fn a_password_is_the_same_however_it_is_typed() {
        let mut memory = Memory::default();
        let hash = memory.hash(&password("Mu\u{308}sli mit Milch")).unwrap();
        assert!(memory.matches(&password("M\u{fc}sli mit Milch"), &hash).unwrap());
        // Hashed as it was typed, by an earlier version.
        let typed = Password {
            normalized: "Mu\u{308}sli mit Milch".to_owned().into(),
            typed: None,
        };
        let earlier = memory.hash(&typed).unwrap();
        assert!(
            memory
                .matches(&password("Mu\u{308}sli mit Milch"), &earlier)
                .unwrap()
        );
    }

    proptest! {
        #[test]
        fn the_policy_counts_characters(text in "\\PC{0,140}") {
            let allowed = |text: &str| (8..=128).contains(&text.chars().count());
            let normalized = normalized(&text);
            prop_assert_eq!(Password::presented(text.clone()).is_some(), allowed(&text) || allowed(&normalized));
            if Password::chosen(text, "", "").is_ok() {
                prop_assert!(allowed(&normalized));
            }
        }
    }
}
