//! Every migration leaves the version before alone; and what does not is found.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use upgrade::migration::findings;

fn migrations() -> Vec<PathBuf> {
    let services = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../services"));
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut migrations: Vec<_> = list(services)
        .iter()
        .flat_map(|service| list(&service.join("migrations")))
        .filter(|file| file.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    migrations.sort();
    migrations
}

#[test]
fn every_migration_leaves_the_version_before_alone() {
    let migrations = migrations();
    assert!(migrations.len() >= 8, "{migrations:?}");
    let mut wrong = Vec::new();
    for file in migrations {
        let sql = std::fs::read_to_string(&file).unwrap();
        let found = findings(&sql).into_iter();
        wrong.extend(found.map(|finding| format!("{}: {finding}", file.display())));
    }
    assert!(
        wrong.is_empty(),
        "what else may be done, and how to allow it, is written in tests/upgrade/src/migration.rs:\n{}",
        wrong.join("\n")
    );
}

/// One that is not named in `chassis::migrations!` would never run.
#[test]
fn every_migration_is_named_in_its_crate() {
    let mut unnamed = migrations();
    unnamed.retain(|file| {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap();
        let sources = file.ancestors().nth(2).unwrap().join("src");
        let named = |source: PathBuf| {
            std::fs::read_to_string(source).is_ok_and(|text| text.contains(&format!("\"{name}\"")))
        };
        ![sources.join("lib.rs"), sources.join("store/mod.rs")]
            .into_iter()
            .any(named)
    });
    assert!(unnamed.is_empty(), "{unnamed:?}");
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_breaks_the_version_before_or_locks_a_table_is_found() {
    let mut missed = Vec::new();
    for (sql, why) in [
        ("DROP TABLE orders", "later release"),
        ("DROP INDEX orders_user_idx", "later release"),
        ("DROP TYPE mood", "later release"),
        ("ALTER TABLE orders DROP COLUMN note", "later release"),
        (
            "ALTER TABLE orders DROP CONSTRAINT orders_status_check",
            "later release",
        ),
        ("ALTER TABLE orders RENAME TO purchases", "old name"),
        ("ALTER TABLE orders RENAME COLUMN status TO state", "old name"),
        ("ALTER TABLE orders RENAME CONSTRAINT a TO b", "old name"),
        ("ALTER INDEX orders_user_idx RENAME TO b", "not known"),
        ("ALTER TABLE orders ADD COLUMN note text NOT NULL", "DEFAULT"),
        ("ALTER TABLE orders ADD note text NOT NULL", "DEFAULT"),
        (
            "ALTER TABLE orders ADD COLUMN a text, ADD COLUMN b text NOT NULL",
            "DEFAULT",
        ),
        (
            "ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT clock_timestamp()",
            "not constant",
        ),
        (
            "ALTER TABLE orders ADD COLUMN id2 uuid NOT NULL DEFAULT gen_random_uuid()",
            "not constant",
        ),
        ("ALTER TABLE orders ADD COLUMN n bigserial", "serial"),
        (
            "ALTER TABLE orders ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY",
            "not known",
        ),
        (
            "ALTER TABLE orders ADD COLUMN n text GENERATED ALWAYS AS (lower(a)) STORED",
            "not known",
        ),
        ("ALTER TABLE orders ADD COLUMN n text UNIQUE", "index is built"),
        (
            "ALTER TABLE orders ADD COLUMN n bigint CHECK (n > 0)",
            "NOT VALID",
        ),
        (
            "ALTER TABLE orders ADD COLUMN u uuid REFERENCES users (id)",
            "NOT VALID",
        ),
        (
            "ALTER TABLE orders ALTER COLUMN note TYPE varchar(20)",
            "another type",
        ),
        ("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", "checked"),
        ("ALTER TABLE orders ALTER COLUMN note DROP NOT NULL", "not expect"),
        ("ALTER TABLE orders ALTER COLUMN note DROP DEFAULT", "without it"),
        (
            "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0)",
            "NOT VALID",
        ),
        ("ALTER TABLE orders ADD CHECK (total > 0)", "NOT VALID"),
        (
            "ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b (id)",
            "NOT VALID",
        ),
        ("ALTER TABLE orders ADD CONSTRAINT u UNIQUE (a)", "index is built"),
        ("ALTER TABLE orders ADD PRIMARY KEY (a)", "index is built"),
        (
            "ALTER TABLE orders ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c",
            "in another one",
        ),
        ("ALTER TABLE orders OWNER TO somebody", "not known"),
        ("ALTER TYPE mood RENAME VALUE 'a' TO 'b'", "new form"),
        ("ALTER TYPE mood ADD VALUE 'a'", "new form"),
        ("CREATE INDEX i ON orders (a)", "CONCURRENTLY"),
        ("CREATE INDEX CONCURRENTLY i ON orders (a)", "-- no-transaction"),
        (
            "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON orders (a); SELECT 1",
            "of its own",
        ),
        (
            "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON orders (a)",
            "refuses",
        ),
        ("TRUNCATE orders", "locks"),
        ("TRUNCATE TABLE orders CASCADE", "locks"),
        ("UPDATE orders SET note = ''", "WHERE"),
        ("UPDATE orders SET note = '' WHERE true", "WHERE"),
        ("DELETE FROM orders", "WHERE"),
        ("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", "not known"),
        (
            "WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone",
            "not known",
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$",
            "not known",
        ),
        (
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
            "not known",
        ),
        ("VACUUM FULL orders", "not known"),
        ("DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$", "can't be read"),
        ("ALTER TABLE orders FROBNICATE", "can't be read"),
        (
            "CREATE TABLE IF NOT EXISTS orders (id uuid); DROP TABLE orders",
            "later release",
        ),
        ("CREATE TABLE a (id uuid); DROP TABLE a, orders", "later release"),
        ("-- contract:\nDROP TABLE orders", "later release"),
        ("-- because it is unused\nDROP TABLE orders", "later release"),
        (
            "-- contract: for the first alone\nDROP TABLE a; DROP TABLE orders",
            "later release",
        ),
        (
            "SELECT 1; -- contract: this is about the one before\nDROP TABLE orders",
            "later release",
        ),
    ] {
        match findings(sql).as_slice() {
            [found] if found.why.contains(why) => {}
            found => missed.push(format!("{sql}: {found:?}")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn what_only_adds_passes() {
    for sql in [
        "ALTER TABLE orders ADD COLUMN note text",
        "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text NULL",
        "ALTER TABLE orders ADD COLUMN note text NOT NULL DEFAULT ''",
        "ALTER TABLE orders ADD COLUMN n bigint NOT NULL DEFAULT -1",
        "ALTER TABLE orders ADD COLUMN at timestamptz NOT NULL DEFAULT now()",
        "ALTER TABLE orders ADD COLUMN tags text[] NOT NULL DEFAULT '{}'::text[]",
        "ALTER TABLE orders ALTER COLUMN note SET DEFAULT ''",
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID",
        "ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b (id) NOT VALID",
        "ALTER TABLE orders VALIDATE CONSTRAINT c",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON orders (a) WHERE b IS NOT NULL",
        "UPDATE settings SET value = 'b' WHERE name = 'a'",
        "DELETE FROM settings WHERE name = 'a'",
        "INSERT INTO settings (name) VALUES ('a') ON CONFLICT DO NOTHING",
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2; $$",
        "CREATE TABLE a (id uuid PRIMARY KEY); CREATE UNIQUE INDEX i ON a (id); ALTER TABLE public.a DROP COLUMN id;
         ALTER TABLE A ADD COLUMN n bigserial; UPDATE a SET n = 1; DELETE FROM a; TRUNCATE a; DROP TABLE a",
        "CREATE TABLE a (id uuid) PARTITION BY RANGE (id); CREATE TABLE a_0 PARTITION OF a DEFAULT",
        "-- contract: no version since 1.4 reads it\nALTER TABLE orders DROP COLUMN note",
        "-- first\n\n-- contract: nobody has it\n-- any more\nDROP TABLE a; SELECT 1",
        "",
        "-- nothing at all",
    ] {
        assert_eq!(findings(sql), [], "{sql}");
    }
}

#[test]
fn a_finding_says_where_it_is() {
    let found = findings(
        "CREATE TABLE a (id uuid);\n\n-- a comment; with a semicolon\nALTER TABLE orders\n  DROP COLUMN a;\n",
    );
    assert_eq!(
        (found[0].line, found[0].statement.as_str()),
        (4, "ALTER TABLE orders DROP COLUMN a")
    );
    let no_sql = findings("SELECT 'without an end");
    assert!(no_sql[0].why.contains("no SQL"), "{no_sql:?}");
}
