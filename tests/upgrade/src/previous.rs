//! The version before: `tests/upgrade/previous`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, bail, ensure};

/// What the version before may get wrong, and is then forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exception {
    /// Its migrator refuses a schema with a migration that it doesn't know.
    RefusesNewerSchema,
    /// It asks for all columns by `*`, and its prepared statements fail when one was added.
    BreaksOnAddedColumn,
}

impl Exception {
    const ALL: [Self; 2] = [Self::RefusesNewerSchema, Self::BreaksOnAddedColumn];

    /// As the file has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefusesNewerSchema => "old-refuses-newer-schema",
            Self::BreaksOnAddedColumn => "old-breaks-on-added-column",
        }
    }
}

/// Those that are declared, and which of them were needed.
#[derive(Debug, Default)]
pub struct Exceptions {
    declared: BTreeMap<Exception, Declared>,
}

#[derive(Debug)]
struct Declared {
    until: String,
    needed: AtomicBool,
}

impl Exceptions {
    /// Whether it is declared; if so it counts as needed. To be asked where the version before has just got that wrong, and
    /// nowhere else.
    pub fn forgive(&self, exception: Exception) -> bool {
        let Some(declared) = self.declared.get(&exception) else {
            return false;
        };
        declared.needed.store(true, Ordering::Relaxed);
        true
    }

    /// An error where one is declared and was not needed.
    pub fn are_needed(&self) -> anyhow::Result<()> {
        for (exception, declared) in &self.declared {
            ensure!(
                declared.needed.load(Ordering::Relaxed),
                "tests/upgrade/previous: the exception {} is not needed any more (until: {}): take the line out",
                exception.name(),
                declared.until
            );
        }
        Ok(())
    }
}

/// The version before.
#[derive(Debug)]
pub struct Previous {
    /// Its commit, in full.
    pub commit: String,
    /// What it gets wrong.
    pub exceptions: Exceptions,
    /// The folder of its programs.
    pub binaries: PathBuf,
}

impl Previous {
    /// What the file says, with programs in that folder.
    pub fn read(file: &Path, binaries: PathBuf) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text, binaries).with_context(|| file.display().to_string())
    }

    fn parse(text: &str, binaries: PathBuf) -> anyhow::Result<Self> {
        let (mut commit, mut exceptions) = (None, Exceptions::default());
        for line in text.lines().map(str::trim) {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                [] => {}
                [word, ..] if word.starts_with('#') => {}
                ["commit", hash] => {
                    let is_whole = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
                    ensure!(is_whole, "{hash} is not a whole hash, of 40 digits");
                    let another = commit.replace((*hash).to_owned()).is_some();
                    ensure!(!another, "there is more than one commit");
                }
                ["exception", name, "until", condition @ ..] if !condition.is_empty() => {
                    let known = Exception::ALL.into_iter().find(|known| known.name() == *name);
                    let Some(exception) = known else {
                        let known = Exception::ALL.map(Exception::name).join(", ");
                        bail!("there is no exception {name}; there are {known}");
                    };
                    let declared = Declared {
                        until: condition.join(" "),
                        needed: AtomicBool::new(false),
                    };
                    let twice = exceptions.declared.insert(exception, declared).is_some();
                    ensure!(!twice, "{name} is declared twice");
                }
                _ => bail!("expected `commit HASH` or `exception NAME until CONDITION`, not `{line}`"),
            }
        }
        Ok(Self {
            commit: commit.context("there is no line `commit HASH`")?,
            exceptions,
            binaries,
        })
    }

    /// The first digits of the commit.
    pub fn short(&self) -> &str {
        self.commit.get(..7).unwrap_or(&self.commit)
    }
}

#[cfg(test)]
mod tests {
    use super::{Exception, Previous};

    const COMMIT: &str = "commit 0123456789012345678901234567890123456789\n";

    fn parse(text: &str) -> anyhow::Result<Previous> {
        Previous::parse(text, "programs".into())
    }

    #[test]
    fn an_exception_has_an_end_and_is_an_error_when_it_is_not_needed() {
        let text = format!("# why\n{COMMIT}exception old-refuses-newer-schema until the next release\n");
        let previous = parse(&text).unwrap();
        assert_eq!(previous.short(), "0123456");
        let exceptions = previous.exceptions;
        assert!(
            !exceptions.forgive(Exception::BreaksOnAddedColumn),
            "not declared"
        );
        let unneeded = exceptions.are_needed().unwrap_err().to_string();
        assert!(unneeded.contains("old-refuses-newer-schema") && unneeded.contains("the next release"));
        assert!(exceptions.forgive(Exception::RefusesNewerSchema));
        exceptions.are_needed().unwrap();
    }

    #[test]
    fn a_line_that_says_something_else_is_refused() {
        for (text, why) in [
            (String::new(), "no line"),
            ("commit 2ee8aac\n".to_owned(), "whole hash"),
            (format!("{COMMIT}{COMMIT}"), "more than one"),
            (
                format!("{COMMIT}exception old-is-slow until tomorrow\n"),
                "there are old-refuses",
            ),
            (
                format!("{COMMIT}exception old-refuses-newer-schema\n"),
                "until CONDITION",
            ),
            (
                format!("{COMMIT}exception old-refuses-newer-schema until\n"),
                "until CONDITION",
            ),
            (format!("{COMMIT}something\n"), "expected"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
