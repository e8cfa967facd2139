//! The databases of a shop on a PostgreSQL server, with the roles that use them.
//!
//! A database belongs to a role that nobody logs in as. Those who log in are its members and act as it, so that what
//! one of them creates belongs to all: a password is rotated by adding a second login and dropping the first.
//!
//! What is made here carries the shop's mark in its comment. Whatever has no such mark is somebody else's: it is not
//! taken over, not changed and not dropped.

mod error;
mod quote;
mod relay;
mod run;
mod scram;
mod session;
mod store;

use std::collections::BTreeSet;

use secrecy::{ExposeSecret as _, SecretString};

pub use super::Changes;
pub use error::PostgresError;
use run::Run;

/// The longest name that PostgreSQL doesn't cut.
const LONGEST_NAME: usize = 63;

/// A server, and the account that administers it: a superuser, or one with CREATEDB and CREATEROLE.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// The administrator.
    pub user: String,
    /// The administrator's password.
    pub password: SecretString,
    /// How the connection is protected.
    pub tls: Tls,
}

impl Server {
    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// How a connection is protected, in libpq's terms (`sslmode`).
#[derive(Debug, Clone)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// Encrypted if the server can. A server that can't is not given a password in clear.
    Prefer,
    /// Encrypted, with whoever answers.
    Require,
    /// Encrypted, with a server whose certificate an authority has signed, for whatever name. Needs rustls's default
    /// provider to be installed in this process.
    VerifyCa {
        /// The authorities' certificates, beside the public ones.
        ca_pem: String,
    },
    /// Encrypted, with a server whose certificate is for the name that it was called by.
    VerifyFull {
        /// The authorities' certificates, beside the public ones.
        ca_pem: Option<String>,
    },
}

/// A database to be there.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The role that owns it and what is in it. Nobody logs in as it.
    pub owner: String,
    /// Who may use it: these and no others.
    pub logins: Vec<Login>,
}

/// A role that logs in and acts as the owner of a database.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its name.
    pub name: String,
    /// Its password, of printable ASCII characters.
    pub password: SecretString,
}

/// Makes the server hold `databases`, and drops those logins of their owners that are not among them. Changes nothing
/// if any of the names is somebody else's, and writes nothing if all is as it should be.
pub async fn ensure(
    server: &Server,
    shop_uid: &str,
    databases: &[Database],
) -> Result<Changes, PostgresError> {
    check(databases)?;
    let mut run = Run::begin(server, shop_uid).await?;
    run.look_for_others(databases).await?;
    for database in databases {
        run.ensure_owner(&database.owner).await?;
        run.ensure_database(database).await?;
        for login in &database.logins {
            run.ensure_login(database, login).await?;
        }
    }
    run.drop_unwanted(databases).await?;
    Ok(run.end().await)
}

/// Drops `databases` with all that is in them, their logins (also those not named) and their owners. What is gone
/// already is no error. What is somebody else's is left, and told when all that is the shop's is gone:
/// [`PostgresError::Taken`].
pub async fn remove(server: &Server, shop_uid: &str, databases: &[Database]) -> Result<(), PostgresError> {
    let mut run = Run::begin(server, shop_uid).await?;
    let others = run.remove(databases).await?;
    run.end().await;
    others.map_or(Ok(()), Err)
}

/// What the server would cut, take for another name or store in a way that can't be checked.
fn check(databases: &[Database]) -> Result<(), PostgresError> {
    let mut names = BTreeSet::new();
    let mut roles = BTreeSet::new();
    let owners: BTreeSet<_> = databases.iter().map(|database| database.owner.as_str()).collect();
    for database in databases {
        check_name(&database.name)?;
        check_name(&database.owner)?;
        if !names.insert(database.name.as_str()) {
            return Err(unusable(&database.name, "two databases have this name"));
        }
        for Login { name, password } in &database.logins {
            check_name(name)?;
            if owners.contains(name.as_str()) || !roles.insert(name.as_str()) {
                return Err(unusable(name, "two roles have this name"));
            }
            let password = password.expose_secret();
            // Others would have to be normalised (SASLprep), and not every client does that alike.
            if password.is_empty() || !password.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return Err(unusable(
                    name,
                    "its password is not of printable ASCII characters",
                ));
            }
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), PostgresError> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        return Err(unusable(name, "a name has 1 to 63 bytes, none of them zero"));
    }
    Ok(())
}

fn unusable(name: &str, problem: &str) -> PostgresError {
    PostgresError::Other {
        doing: format!("use {name:?}"),
        problem: problem.to_owned(),
    }
}
