//! The steps of a schema, in the program that needs them.
//!
//! What sqlx has for it is a macro that compiles sqlx, its drivers and a TLS library a second time, for the compiler: a
//! twentieth of all that there is to compile before the first order.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// A step, as [`migrations!`](crate::migrations) finds it.
#[derive(Clone, Copy, Debug)]
pub struct MigrationFile {
    version: i64,
    /// As `0003_signing_keys`: its place in the order, and what it is about.
    name: &'static str,
    /// One or more statements. They are one transaction, unless the first line is `-- no-transaction`.
    sql: &'static str,
}

impl MigrationFile {
    /// The file of that name without its suffix, with what is in it.
    ///
    /// # Panics
    /// Where the name doesn't begin with a number and a `_`: while compiling, since [`migrations!`](crate::migrations) makes
    /// constants of them.
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        let letters = name.as_bytes();
        let (mut version, mut at) = (0, 0);
        while at < letters.len() && letters[at].is_ascii_digit() {
            version = version * 10 + (letters[at] - b'0') as i64;
            at += 1;
        }
        assert!(
            at > 0 && at + 1 < letters.len() && letters[at] == b'_',
            "a migration is named as 0003_signing_keys"
        );
        Self { version, name, sql }
    }
}

/// What runs the steps, in the order of their versions. With the names and checksums that `sqlx::migrate!` gives them, which
/// is what databases of earlier versions know them by.
pub fn migrator(files: impl IntoIterator<Item = MigrationFile>) -> Migrator {
    let migrations = files.into_iter().map(|MigrationFile { version, name, sql }| {
        let about = name.split_once('_').map_or(name, |(_, about)| about);
        let no_transaction = sql.starts_with("-- no-transaction");
        Migration::new(
            version,
            about.replace('_', " ").into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            no_transaction,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

/// The [`Migrator`] of the calling crate's folder `migrations`, of which every file is named: a new file takes effect when it
/// is. Whether all are is a test's to say (`tests/upgrade/tests/migrations.rs`).
#[macro_export]
macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        $crate::postgres::migrator([$(
            const {
                let sql = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $name, ".sql"));
                $crate::postgres::MigrationFile::new($name, sql)
            }
        ),+])
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_step_is_what_sqlx_would_have_made_of_its_file() {
        let migrator = migrator([
            MigrationFile::new("0012_second_factors", "-- no-transaction\nSELECT 1"),
            MigrationFile::new("0003_signing_keys", "SELECT 3"),
        ]);
        let steps: Vec<_> = migrator
            .iter()
            .map(|step| {
                (
                    step.version,
                    step.description.as_ref(),
                    step.no_tx,
                    step.sql.as_str(),
                )
            })
            .collect();
        assert_eq!(
            steps,
            [
                (3, "signing keys", false, "SELECT 3"),
                (12, "second factors", true, "-- no-transaction\nSELECT 1")
            ]
        );
        // SHA-384 of the text, as written down in databases since the first version.
        let begins = [0xe2, 0x67, 0x12, 0x0b, 0x1f, 0xb4];
        assert!(migrator.iter().next().unwrap().checksum.starts_with(&begins));
    }
}
