//! The Ed25519 keys of access tokens: what identifies one, which of several signs, and when keys change that the
//! service makes itself.

use std::time::Duration;

use access_token::Signer;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, spki},
};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};

/// A key is published for this long before it signs, so that every replica answers with it, and whoever verifies can
/// fetch it, before the first token needs it.
pub(crate) const PUBLICATION_LEAD: Duration = Duration::from_mins(2);
/// For clocks that differ.
const SLACK: Duration = Duration::from_mins(1);

/// Why keys can't be used. Says nothing of the keys themselves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// No key at all.
    #[error("there is no PEM block in it")]
    Empty,
    /// What signs must be first.
    #[error("the first PEM block must be a private key")]
    NoSigner,
    /// A private key that can't be read.
    #[error("PEM block {block} is no Ed25519 private key in PKCS#8: {source}")]
    Private {
        /// Counted from 1.
        block: usize,
        /// Why.
        source: ed25519_dalek::pkcs8::Error,
    },
    /// A public key that can't be read.
    #[error("PEM block {block} is no Ed25519 public key: {source}")]
    Public {
        /// Counted from 1.
        block: usize,
        /// Why.
        source: spki::Error,
    },
    /// Something else.
    #[error("PEM block {block} is neither a PRIVATE KEY nor a PUBLIC KEY")]
    Unknown {
        /// Counted from 1.
        block: usize,
    },
    /// A key from the database that can't be read.
    #[error("a stored key is no Ed25519 private key in PKCS#8: {0}")]
    Stored(ed25519_dalek::pkcs8::Error),
    /// A key that can't be written.
    #[error("a key can't be encoded: {0}")]
    Encode(ed25519_dalek::pkcs8::Error),
}

/// What verifies, in the terms of JWK (RFC 7517, RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The JWK thumbprint (RFC 7638): the same key has the same name wherever it comes from.
    pub(crate) key_id: String,
    /// The `x` member.
    pub(crate) x: String,
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self {
            key_id: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)),
            x,
        }
    }
}

/// A private key in PKCS#8.
#[derive(Clone, Debug)]
pub(crate) struct PrivateKey(SecretSlice<u8>);

impl PrivateKey {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        Self::encode(&SigningKey::from_bytes(&rand::random()))
    }

    /// One that was stored.
    pub(crate) fn from_der(der: Vec<u8>) -> Self {
        Self(der.into())
    }

    /// For keeping it.
    pub(crate) fn as_der(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Its public part.
    pub(crate) fn public(&self) -> Result<PublicKey, KeyError> {
        let key = SigningKey::from_pkcs8_der(self.as_der()).map_err(KeyError::Stored)?;
        Ok(key.verifying_key().into())
    }

    fn encode(key: &SigningKey) -> Result<Self, KeyError> {
        let der = key.to_pkcs8_der().map_err(KeyError::Encode)?;
        Ok(Self(der.as_bytes().to_vec().into()))
    }
}

/// All keys that tokens may be signed with: one signs, all verify.
pub(crate) struct KeySet {
    /// What signs.
    pub(crate) signer: Signer,
    /// What verifies, the signer's own included.
    pub(crate) public: Vec<PublicKey>,
}

impl KeySet {
    /// Signs with `signer`; `others` only verify.
    fn new(signer: &PrivateKey, others: impl IntoIterator<Item = PublicKey>) -> Result<Self, KeyError> {
        let mut public = vec![signer.public()?];
        for other in others {
            if !public.contains(&other) {
                public.push(other);
            }
        }
        Ok(Self {
            signer: Signer::new(public[0].key_id.clone(), signer.as_der()),
            public,
        })
    }

    /// The keys of a PEM file: the first signs, the others only verify.
    pub(crate) fn from_pem(text: &str) -> Result<Self, KeyError> {
        const BEGIN: &str = "-----BEGIN ";
        let mut signer = None;
        let mut public = Vec::new();
        // What stands before the first block is a comment.
        for (index, rest) in text.split(BEGIN).skip(1).enumerate() {
            let (block, pem) = (index + 1, format!("{BEGIN}{rest}"));
            if rest.starts_with("PRIVATE KEY-----") {
                let key = SigningKey::from_pkcs8_pem(pem.trim_end())
                    .map_err(|source| KeyError::Private { block, source })?;
                public.push(key.verifying_key().into());
                if block == 1 {
                    signer = Some(PrivateKey::encode(&key)?);
                }
            } else if rest.starts_with("PUBLIC KEY-----") {
                let key = VerifyingKey::from_public_key_pem(pem.trim_end())
                    .map_err(|source| KeyError::Public { block, source })?;
                public.push(key.into());
            } else {
                return Err(KeyError::Unknown { block });
            }
        }
        match signer {
            Some(signer) => Self::new(&signer, public),
            None if public.is_empty() => Err(KeyError::Empty),
            None => Err(KeyError::NoSigner),
        }
    }

    /// Keys that the service made itself, newest first.
    pub(crate) fn from_made(keys: &[MadeKey]) -> Result<Self, KeyError> {
        let ages: Vec<Duration> = keys.iter().map(|key| key.age).collect();
        let signer = signer(&ages).and_then(|index| keys.get(index));
        let signer = signer.ok_or(KeyError::Empty)?;
        let mut public = Vec::with_capacity(keys.len());
        for key in keys {
            public.push(key.private.public()?);
        }
        Self::new(&signer.private, public)
    }
}

/// A key that the service made itself.
#[derive(Clone, Debug)]
pub(crate) struct MadeKey {
    /// The key.
    pub(crate) private: PrivateKey,
    /// Since it was made.
    pub(crate) age: Duration,
}

/// Which of the keys of these ages, newest first, signs: the newest that was published for long enough, or the first
/// that there ever was.
fn signer(ages: &[Duration]) -> Option<usize> {
    let published = ages.iter().position(|age| *age >= PUBLICATION_LEAD);
    published.or(ages.len().checked_sub(1))
}

/// When keys that the service makes itself come and go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// How old the newest key gets before the next is made.
    pub(crate) every: Duration,
    /// How long what a key has signed last must be verifiable.
    pub(crate) token_lifetime: Duration,
}

impl Rotation {
    /// Whether a new key is to be made.
    pub(crate) fn is_due(&self, ages: &[Duration]) -> bool {
        ages.first().is_none_or(|newest| *newest >= self.every)
    }

    /// How many of the keys, newest first, are still needed: the one that signs, newer ones, and older ones while there
    /// may be tokens of theirs.
    pub(crate) fn needed(&self, ages: &[Duration]) -> usize {
        let superseded = PUBLICATION_LEAD + self.token_lifetime + SLACK;
        let oldest_needed = ages.iter().position(|age| *age >= superseded);
        oldest_needed.map_or(ages.len(), |index| index + 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const RFC_8037: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        // RFC 8037, appendix A.1 to A.3.
        let public = PrivateKey::encode(&SigningKey::from_bytes(&RFC_8037))
            .unwrap()
            .public()
            .unwrap();
        assert_eq!(public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(public.key_id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_first_key_of_a_file_signs_and_all_verify() {
        use ed25519_dalek::pkcs8::{EncodePublicKey as _, spki::der::pem::LineEnding};
        let keys: Vec<_> = (1..=3).map(|n| SigningKey::from_bytes(&[n; 32])).collect();
        let private = |n: usize| keys[n].to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
        let public = |n: usize| keys[n].verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        let names: Vec<PublicKey> = keys.iter().map(|key| key.verifying_key().into()).collect();

        let set = KeySet::from_pem(&format!("# ours\n{}\n{}{}", private(1), private(0), public(2))).unwrap();
        assert_eq!(set.signer.key_id(), names[1].key_id);
        assert_eq!(set.public, [names[1].clone(), names[0].clone(), names[2].clone()]);
        let set = KeySet::from_pem(&format!("{}{}", private(0), public(0))).unwrap();
        assert_eq!(set.public, [names[0].clone()], "a key is listed once");

        let refused = |text: &str| KeySet::from_pem(text).err().unwrap();
        assert!(matches!(refused("nothing"), KeyError::Empty));
        assert!(matches!(
            refused(&format!("{}{}", public(0), private(1))),
            KeyError::NoSigner
        ));
        let cut = private(0).replacen("\nMF", "\n", 1);
        assert!(matches!(refused(&cut), KeyError::Private { block: 1, .. }));
        let other = format!("{}-----BEGIN RSA PRIVATE KEY-----\n", private(0));
        assert!(matches!(refused(&other), KeyError::Unknown { block: 2 }));
        assert!(!refused(&cut).to_string().contains(&private(0)[40..60]));
    }

    #[test]
    fn keys_from_openssl_are_read() {
        // openssl genpkey -algorithm ed25519, without the public part that newer formats carry.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        let set = KeySet::from_pem(pem).unwrap();
        assert_eq!(set.signer.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    proptest! {
        /// Runs the rotation through time, as a service does that looks every `step`, and checks each token.
        #[test]
        fn no_token_outlives_its_key_and_no_key_signs_unpublished(
            every in 3_600..20_000_u64,
            lifetime in 1..10_000_u64,
            step in 5..=30_u64,
        ) {
            let rotation = Rotation {
                every: Duration::from_secs(every),
                token_lifetime: Duration::from_secs(lifetime),
            };
            let mut made: Vec<u64> = Vec::new();
            let mut signed_until: Vec<(u64, u64)> = Vec::new();
            for now in (0..4 * every).step_by(usize::try_from(step).unwrap()) {
                let ages = |made: &[u64]| made.iter().map(|at| Duration::from_secs(now - at)).collect::<Vec<_>>();
                if rotation.is_due(&ages(&made)) {
                    made.insert(0, now);
                }
                made.truncate(rotation.needed(&ages(&made)));
                let key = made[signer(&ages(&made)).unwrap()];
                prop_assert!(key == 0 || now - key >= PUBLICATION_LEAD.as_secs());
                prop_assert!(made.len() <= 5, "old keys go");
                match signed_until.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, until)) => *until = now + lifetime,
                    None => signed_until.push((key, now + lifetime)),
                }
                for (key, until) in &signed_until {
                    prop_assert!(*until < now || made.contains(key), "a valid token has lost its key");
                }
            }
        }
    }
}
