//! `docs/reference` is what the sources make of it.

use std::{collections::BTreeSet, fs};

use reference::{configuration, folder, pages};

const WRITE: &str = "write it with cargo run --release --locked --workspace --bin reference";

#[test]
fn the_pages_are_those_that_the_sources_make() -> anyhow::Result<()> {
    for page in pages()? {
        let written = fs::read_to_string(folder().join(page.file)).unwrap_or_default();
        let mut lines = page
            .text
            .lines()
            .zip(written.lines().chain(std::iter::repeat("")));
        let difference = lines.find(|(made, there)| made != there);
        assert!(
            page.text == written,
            "docs/reference/{} is not what the sources make: {WRITE}\nmade and there: {difference:#?}",
            page.file
        );
    }
    Ok(())
}

/// Whatever a program reads, on its command line or past it, is on the page of settings.
#[test]
fn every_setting_that_is_read_is_in_the_reference() -> anyhow::Result<()> {
    let page = fs::read_to_string(folder().join("configuration.md"))?;
    let mut read = configuration::read_from_the_environment()?;
    read.extend(
        configuration::settings()?
            .into_iter()
            .map(|setting| setting.variable),
    );
    assert!(read.len() > 50, "hardly any: {read:?}");
    for variable in [
        "DATABASE_URL",
        "AMQP_URL",
        "ADMIN_PASSWORD",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ] {
        assert!(read.contains(variable), "{variable} is read, and was not found");
    }
    let missing: BTreeSet<_> = read
        .into_iter()
        .filter(|variable| !has_word(&page, variable))
        .collect();
    assert!(
        missing.is_empty(),
        "they are read, and nowhere in docs/reference/configuration.md: {missing:?}"
    );
    Ok(())
}

/// What says of a variable that it is read, in a flag's attribute or a call, was understood everywhere: none is known to the
/// text of the sources alone.
#[test]
fn no_variable_is_missed_in_the_sources() -> anyhow::Result<()> {
    let known: BTreeSet<_> = configuration::settings()?
        .into_iter()
        .map(|setting| setting.variable)
        .chain(configuration::read_from_the_environment()?)
        .collect();
    let mut found = 0;
    let folders = reference::programs::programs()
        .into_iter()
        .map(|program| program.sources);
    for folder in folders.chain(reference::programs::SHARED) {
        for source in reference::sources::below(folder)? {
            let text = reference::read(&source.path)?;
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for before in ["env = \"", "secret_from_env(\"", "env::var(\"", "env::var_os(\""] {
                for rest in text.split(before).skip(1) {
                    let variable = rest.split('"').next().unwrap_or_default();
                    assert!(
                        known.contains(variable),
                        "{}: {variable} is read by no program",
                        source.path
                    );
                    found += 1;
                }
            }
        }
    }
    assert!(found > 50, "hardly any: {found}");
    Ok(())
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter: char| !part_of_name(letter))
        .any(|other| other == word)
}
