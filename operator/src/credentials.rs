//! What is secret about a Shop. Everything is made once and kept in Secrets of the Shop's namespace; what a Secret holds
//! already is never made anew.

use std::{collections::BTreeMap, fmt};

use rand::{RngExt as _, distr::Alphanumeric};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    names::{self, Program},
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// The Secrets of a Shop that are there: their text by name and key.
pub type Existing = BTreeMap<String, BTreeMap<String, SecretString>>;

/// A name and its password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name; no secret.
    pub username: String,
    /// The password: letters and digits, so that it stands in a URL as it is.
    pub password: SecretString,
}

/// What is secret about a Shop.
#[derive(Clone)]
pub struct Credentials {
    /// Marks what is this Shop's on a server that others use too. It outlives the Shop where its data does.
    pub identity: String,
    /// The first admin of the shop: an email and its password.
    pub first_admin: Login,
    /// The superuser of the embedded PostgreSQL.
    pub postgres: Option<Login>,
    /// The administrator of the embedded RabbitMQ.
    pub rabbitmq: Option<Login>,
    /// The login role of each service that has a database.
    pub databases: BTreeMap<Program, Login>,
    /// The user of each service that speaks to RabbitMQ.
    pub brokers: BTreeMap<Program, Login>,
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

/// The name of the Secret that the identity is kept in.
pub fn identity_secret(shop: &str) -> String {
    names::object(shop, "identity")
}

/// The name of the Secret of the first admin.
pub fn first_admin_secret(shop: &str) -> String {
    names::object(shop, "admin")
}

impl Credentials {
    /// What the Shop's Secrets hold, and new ones for what they do not.
    pub fn complete(shop: &Validated, existing: &Existing) -> Self {
        let kept = |secret: &str, key: &str| existing.get(secret)?.get(key).map(ExposeSecret::expose_secret);
        let login = |secret: &str, username: &str| Login {
            username: kept(secret, USERNAME).unwrap_or(username).to_owned(),
            password: kept(secret, PASSWORD).map_or_else(|| random(32), Into::into),
        };
        let identity = kept(&identity_secret(&shop.name), IDENTITY)
            .map_or_else(|| random(12).expose_secret().to_lowercase(), str::to_owned);
        let of_program = |program: Program| {
            let secret = names::credentials(&shop.name, program.name());
            // A role is called like its database; the name of the program could make it too long for PostgreSQL.
            let part = program.database().unwrap_or(program.name());
            let username = format!("{}-{part}-{}", shop.name, short(&identity));
            (program, login(&secret, &username))
        };
        let programs = Program::ALL.into_iter();
        let embedded_login =
            |part: &str, username: &str| login(&names::credentials(&shop.name, part), username);
        Self {
            first_admin: login(
                &first_admin_secret(&shop.name),
                &format!("admin@{}.{}.example", shop.name, shop.namespace),
            ),
            postgres: matches!(shop.database, DatabaseBackend::Embedded(_))
                .then(|| embedded_login(names::POSTGRES, "postgres")),
            rabbitmq: matches!(shop.messaging, MessagingBackend::Embedded(_))
                .then(|| embedded_login(names::RABBITMQ, "shop-operator")),
            databases: programs
                .clone()
                .filter(|program| program.database().is_some())
                .map(of_program)
                .collect(),
            brokers: programs
                .filter(|program| program.uses_broker())
                .map(of_program)
                .collect(),
            identity,
        }
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

fn random(length: usize) -> SecretString {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(length)
        .map(char::from)
        .collect::<String>()
        .into()
}
