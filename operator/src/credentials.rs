//! What is secret about a Shop. Everything is made once and kept in Secrets of the Shop's namespace; what a Secret holds
//! already is never made anew.

use std::{collections::BTreeMap, fmt};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{self, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use k8s_openapi::jiff::Timestamp;
use rand::{RngExt as _, distr::Alphanumeric};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    certificates::{Certificates, CertificatesError},
    clusters::{cloud_native_pg, rabbitmq},
    existing::Existing,
    names::{self, Program},
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// Why a Shop has no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// What somebody wrote into a Secret can't be used.
    #[error(
        "Secret {secret}: {key} may have letters, digits and '-', '.', '_', '~' only, and at least one: it is a part of a URL"
    )]
    Unfit {
        /// The Secret.
        secret: String,
        /// Its key.
        key: &'static str,
    },
    /// A signing key can't be written down.
    #[error("a token signing key can't be encoded: {0}")]
    SigningKey(#[from] pkcs8::Error),
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

/// A name and its password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name; no secret.
    pub username: String,
    /// The password. But for the first admin's it stands in a URL as it is.
    pub password: SecretString,
}

/// What is secret about a Shop.
#[derive(Clone)]
pub struct Credentials {
    /// Marks what is this Shop's on a server that others use too. It outlives the Shop where its data does.
    pub identity: String,
    /// The first admin of the shop: an email and its password.
    pub first_admin: Login,
    /// The keys of access tokens, as user-service reads them: PEM, the one that signs first.
    pub signing_keys: SecretString,
    /// The superuser of the embedded PostgreSQL.
    pub postgres: Option<Login>,
    /// The administrator of the embedded RabbitMQ.
    pub rabbitmq: Option<Login>,
    /// The login role of each service that has a database.
    pub databases: BTreeMap<Program, Login>,
    /// The user of each service that speaks to RabbitMQ.
    pub brokers: BTreeMap<Program, Login>,
    /// Of these services: the logins that take the place of theirs when they are made ([`crate::rotation`]).
    pub next: BTreeMap<Program, Login>,
    /// Of these services: the logins that were theirs, and that pods may still use.
    pub previous: BTreeMap<Program, Login>,
    /// When they were last replaced, or first looked at.
    pub rotated_at: Option<Timestamp>,
    /// What the services are known to each other by, where they use TLS.
    pub certificates: Option<Certificates>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// The keys of a Secret of type kubernetes.io/basic-auth.
pub const USERNAME: &str = "username";
/// The other one.
pub const PASSWORD: &str = "password";
/// The key that the identity is kept under.
pub const IDENTITY: &str = "identity";
/// Beside it, the time of the last rotation (RFC 3339).
pub const ROTATED_AT: &str = "rotated-at";
/// What the keys of a login begin with that comes next.
pub const NEXT: &str = "next-";
/// What the keys of a login begin with that was before.
pub const PREVIOUS: &str = "previous-";

/// The key that the token signing keys are kept under.
pub const SIGNING_KEYS: &str = "keys.pem";

/// The name of the Secret that the identity is kept in.
pub fn identity_secret(shop: &str) -> String {
    names::object(shop, "identity")
}

/// The name of the Secret of the first admin.
pub fn first_admin_secret(shop: &str) -> String {
    names::object(shop, "admin")
}

/// The name of the Secret of the token signing keys.
pub fn signing_keys_secret(shop: &str) -> String {
    names::object(shop, "signing-keys")
}

/// The name of the Secret with the `username` and `password` of PostgreSQL's administrator, where that is not this
/// operator's to make. That of a cluster is there once the cluster is.
pub fn database_admin_secret(shop: &Validated) -> Option<String> {
    match &shop.database {
        DatabaseBackend::Embedded(_) => None,
        DatabaseBackend::CloudNativePg(_) => Some(cloud_native_pg::superuser_secret(&shop.name)),
        DatabaseBackend::External(external) => Some(external.admin_secret.name.clone()),
    }
}

/// The name of the Secret that may have the certificate of the authority that signs PostgreSQL's, under `ca.crt`; it must
/// where the [mode](DatabaseBackend::tls) verifies.
pub fn database_ca_secret(shop: &Validated) -> Option<String> {
    match &shop.database {
        DatabaseBackend::Embedded(_) => None,
        DatabaseBackend::CloudNativePg(_) => Some(cloud_native_pg::ca_secret(&shop.name)),
        DatabaseBackend::External(external) => Some(external.admin_secret.name.clone()),
    }
}

/// The name of the Secret with the `username` and `password` of RabbitMQ's administrator, where that is not this
/// operator's to make. That of a cluster is there once the cluster is.
pub fn messaging_admin_secret(shop: &Validated) -> Option<String> {
    match &shop.messaging {
        MessagingBackend::Embedded(_) => None,
        MessagingBackend::RabbitmqCluster(_) => Some(rabbitmq::default_user_secret(&shop.name)),
        MessagingBackend::External(external) => Some(external.admin_secret.name.clone()),
    }
}

impl Credentials {
    /// What the Shop's Secrets hold, and new ones for what they do not. Of certificates also for those whose time has
    /// come.
    pub fn complete(shop: &Validated, existing: &Existing, now: Timestamp) -> Result<Self, CredentialsError> {
        let kept = |secret: &str, key: &str| existing.get(secret)?.get(key).map(ExposeSecret::expose_secret);
        let login = |secret: &str, username: &str| Login {
            username: kept(secret, USERNAME).unwrap_or(username).to_owned(),
            password: kept(secret, PASSWORD).map_or_else(|| random(32), Into::into),
        };
        let server_login = |part: &str, username: &str| {
            let secret = names::credentials(&shop.name, part);
            let login = login(&secret, username);
            for (key, text) in [
                (USERNAME, login.username.as_str()),
                (PASSWORD, login.password.expose_secret()),
            ] {
                if text.is_empty() || !text.bytes().all(is_unreserved) {
                    return Err(CredentialsError::Unfit { secret, key });
                }
            }
            Ok(login)
        };
        // A Secret that was deleted does not make a Shop another one, whose databases would be empty.
        let identity = kept(&identity_secret(&shop.name), IDENTITY)
            .map(str::to_owned)
            .or_else(|| shop.identity.clone())
            .unwrap_or_else(|| random(12).expose_secret().to_lowercase());
        let of_program = |program: Program| {
            // A role is called like its database; the name of the program could make it too long for PostgreSQL.
            let part = program.database().unwrap_or(program.name());
            let username = format!("{}-{part}-{}", shop.name, short(&identity));
            Ok((program, server_login(program.name(), &username)?))
        };
        let programs = Program::ALL.into_iter();
        let postgres = match shop.database {
            DatabaseBackend::Embedded(_) => Some(server_login(names::POSTGRES, "postgres")?),
            DatabaseBackend::CloudNativePg(_) | DatabaseBackend::External(_) => None,
        };
        let rabbitmq = match shop.messaging {
            MessagingBackend::Embedded(_) => Some(server_login(names::RABBITMQ, "shop-operator")?),
            MessagingBackend::RabbitmqCluster(_) | MessagingBackend::External(_) => None,
        };
        let others = |prefix: &str| {
            let of = |program: Program| {
                let secret = names::credentials(&shop.name, program.name());
                let login = Login {
                    username: kept(&secret, &format!("{prefix}{USERNAME}"))?.to_owned(),
                    password: kept(&secret, &format!("{prefix}{PASSWORD}"))?.into(),
                };
                Some((program, login))
            };
            Program::ALL.into_iter().filter_map(of).collect()
        };
        Ok(Self {
            next: others(NEXT),
            previous: others(PREVIOUS),
            rotated_at: kept(&identity_secret(&shop.name), ROTATED_AT).and_then(|text| text.parse().ok()),
            certificates: if shop.tls {
                Some(Certificates::complete(shop, existing, now)?)
            } else {
                None
            },
            first_admin: login(
                &first_admin_secret(&shop.name),
                &format!("admin@{}.{}.example", shop.name, shop.namespace),
            ),
            signing_keys: match kept(&signing_keys_secret(&shop.name), SIGNING_KEYS) {
                Some(keys) => keys.into(),
                None => new_signing_key()?,
            },
            postgres,
            rabbitmq,
            databases: programs
                .clone()
                .filter(|program| program.database().is_some())
                .map(of_program)
                .collect::<Result<_, CredentialsError>>()?,
            brokers: programs
                .filter(|program| program.uses_broker())
                .map(of_program)
                .collect::<Result<_, CredentialsError>>()?,
            identity,
        })
    }

    /// The logins of a program that are to be valid: its own, and around a rotation a second one.
    pub fn valid_logins(&self, program: Program) -> impl Iterator<Item = &Login> {
        let own = self
            .databases
            .get(&program)
            .or_else(|| self.brokers.get(&program));
        own.into_iter()
            .chain(self.next.get(&program))
            .chain(self.previous.get(&program))
    }

    /// The name of a Shop's database on its server; PostgreSQL allows 63 bytes.
    pub fn database_name(&self, shop: &str, database: &str) -> String {
        format!("{shop}-{database}-{}", short(&self.identity))
    }

    /// The name of a Shop's virtual host on its broker.
    pub fn vhost(&self, shop: &str) -> String {
        format!("{shop}-{}", short(&self.identity))
    }
}

/// Enough of the identity to tell the Shops of a server apart by name; that it is the right one, the mark says.
fn short(identity: &str) -> &str {
    identity.get(..6).unwrap_or(identity)
}

/// What stands for itself in a URL: <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn new_signing_key() -> Result<SecretString, CredentialsError> {
    let key = SigningKey::from_bytes(&rand::random());
    let pem = key.to_pkcs8_pem(LineEnding::LF)?;
    Ok(pem.as_str().into())
}

pub(crate) fn random(length: usize) -> SecretString {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(length)
        .map(char::from)
        .collect::<String>()
        .into()
}
