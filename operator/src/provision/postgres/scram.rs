//! SCRAM-SHA-256 verifiers: what PostgreSQL stores in place of a password (RFC 5802, RFC 7677).
//!
//! They are made and checked here, on the client's side, so that a password is in no statement and so in no log of the
//! server.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// As many as PostgreSQL uses when it makes a verifier by itself.
const ITERATIONS: u32 = 4096;
/// A verifier with more was not made here, and to check it would hold up everything else.
const MOST_ITERATIONS: u32 = 100_000;
const BLOCK: usize = 64;

type Key = [u8; 32];

/// A new verifier for `password`, with a random salt.
pub(super) fn verifier(password: &str) -> String {
    let salt: [u8; 16] = rand::random();
    Keys::derive(password, &salt, ITERATIONS).verifier(&salt, ITERATIONS)
}

/// Whether `verifier` is one for `password`. Anything else that a server may hold (MD5, another format) is not.
pub(super) fn matches(verifier: &str, password: &str) -> bool {
    parse(verifier).is_some_and(|(iterations, salt)| {
        Keys::derive(password, &salt, iterations).verifier(&salt, iterations) == verifier
    })
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`
fn parse(verifier: &str) -> Option<(u32, Vec<u8>)> {
    let (parameters, _keys) = verifier.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let iterations = iterations
        .parse()
        .ok()
        .filter(|count| (1..=MOST_ITERATIONS).contains(count))?;
    Some((iterations, BASE64_STANDARD.decode(salt).ok()?))
}

struct Keys {
    stored: Key,
    server: Key,
}

impl Keys {
    fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = Hmac::new(&stretch(password, salt, iterations));
        Self {
            stored: Sha256::digest(salted.sign(&[b"Client Key"])).into(),
            server: salted.sign(&[b"Server Key"]),
        }
    }

    fn verifier(&self, salt: &[u8], iterations: u32) -> String {
        format!(
            "SCRAM-SHA-256${iterations}:{}${}:{}",
            BASE64_STANDARD.encode(salt),
            BASE64_STANDARD.encode(self.stored),
            BASE64_STANDARD.encode(self.server),
        )
    }
}

/// PBKDF2 with HMAC-SHA-256, of one block.
fn stretch(password: &str, salt: &[u8], iterations: u32) -> Key {
    let hmac = Hmac::new(password.as_bytes());
    let mut last = hmac.sign(&[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = hmac.sign(&[&last]);
        for (sum, byte) in sum.iter_mut().zip(last) {
            *sum ^= byte;
        }
    }
    sum
}

/// HMAC-SHA-256 (RFC 2104) under one key, whose two blocks are hashed once for all messages.
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self {
            inner: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)),
            outer: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)),
        }
    }

    fn sign(&self, message: &[&[u8]]) -> Key {
        let mut inner = self.inner.clone();
        for part in message {
            inner.update(part);
        }
        self.outer
            .clone()
            .chain_update(inner.finalize())
            .finalize()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let short = Hmac::new(b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            short.to_vec(),
            bytes("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        let long_key =
            Hmac::new(&[0xaa; 131]).sign(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(
            long_key.to_vec(),
            bytes("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        );
    }

    #[test]
    fn the_exchange_of_rfc_7677_verifies() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::derive("pencil", &salt, 4096);
        let message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server_signature = Hmac::new(&keys.server).sign(&[message]);
        assert_eq!(
            BASE64_STANDARD.encode(server_signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        // The proof is the client key masked by a signature under the stored key: undone, its digest is the stored key.
        let proof = BASE64_STANDARD
            .decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            .unwrap();
        let signature = Hmac::new(&keys.stored).sign(&[message]);
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(<Key>::from(Sha256::digest(client_key)), keys.stored);
    }

    #[test]
    fn a_verifier_matches_its_password_alone() {
        let made = verifier("secret");
        assert!(matches(&made, "secret"));
        assert!(!matches(&made, "Secret"));
        assert_ne!(made, verifier("secret"), "each has a salt of its own");
        assert!(!made.contains("secret"));
    }

    #[test]
    fn what_is_no_verifier_matches_nothing() {
        for other in [
            "",
            "secret",
            "md5a3556571e93b0d20722ba62be61e8c2d",
            "SCRAM-SHA-256$4096:c2FsdA==",
            "SCRAM-SHA-256$0:c2FsdA==$AAAA:AAAA",
            "SCRAM-SHA-256$2000000000:c2FsdA==$AAAA:AAAA",
            "SCRAM-SHA-256$4096:***$AAAA:AAAA",
            "SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA",
        ] {
            assert!(!matches(other, "secret"), "{other}");
        }
    }
}
