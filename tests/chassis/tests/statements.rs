//! Every statement of every store names its columns: `*` means whatever columns there are, which are more once a later
//! version has added one, and then the prepared statements of running processes fail.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What selects or returns all columns, in lower case and with single spaces.
fn names_no_columns(statement: &str) -> bool {
    let of_a_table = statement
        .match_indices(".*")
        .any(|(at, _)| statement[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    of_a_table
        || ["select *", "returning *", "select distinct *"]
            .iter()
            .any(|all| statement.contains(all))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn statements_name_their_columns() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let mut found = Vec::new();
    for service in fs::read_dir(services).unwrap() {
        let source = service.unwrap().path().join("src");
        if source.is_dir() {
            sources(&source, &mut found);
        }
    }
    let stores = found
        .iter()
        .filter(|path| path.components().any(|part| part.as_os_str() == "store"));
    assert!(
        stores.count() >= 10,
        "the stores are where they are looked for: {found:?}"
    );
    let mut wrong = Vec::new();
    for path in &found {
        let text = fs::read_to_string(path).unwrap();
        // Comments may speak of what statements may not say. A statement may be broken into lines anywhere.
        let code: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
            .collect();
        for (number, lines) in code.windows(2).enumerate() {
            let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            if names_no_columns(&words.join(" ").to_ascii_lowercase()) {
                wrong.push(format!("{}: {}", path.display(), code[number]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_columns_are_seen_however_they_are_asked_for() {
    for wrong in [
        "select * from users",
        "delete from users returning *",
        "select u.* from users u",
        "select *, $9 from t",
    ] {
        assert!(names_no_columns(wrong), "{wrong}");
    }
    for right in [
        "select count(*) from users",
        "select 2 * $1",
        "select id from users",
        "/* note */",
    ] {
        assert!(!names_no_columns(right), "{right}");
    }
}
