//! What stands in README and the documentation can be followed: links lead somewhere, and commands are those of the programs.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::error::ErrorKind;
use reference::{programs::programs, root};

/// Every page that is written here, README first.
fn texts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    found.sort();
    assert!(found.len() > 40, "hardly any: {found:?}");
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The lines of a page outside of its blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    by_block(text)
        .filter(|(block, _)| block.is_none())
        .map(|(_, line)| line)
}

/// The lines of a page that somebody types into a terminal.
fn typed(text: &str) -> impl Iterator<Item = &str> {
    let shell = |block: Option<&str>| matches!(block, Some("bash" | "console"));
    by_block(text)
        .filter(move |(block, _)| shell(*block))
        .map(|(_, line)| line)
}

/// The lines of a page, each with the language of the block that it is in.
fn by_block(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut block = None;
    text.lines().filter_map(move |line| {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language) };
            return None;
        }
        Some((block, line))
    })
}

/// Where the links and pictures of a page lead.
fn links(text: &str) -> Vec<String> {
    let lines = prose(text).flat_map(|line| {
        // Code is shown as it is.
        let shown: Vec<_> = line.split('`').step_by(2).collect();
        let shown = shown.join("`");
        let parts: Vec<_> = shown.split("](").skip(1).map(str::to_owned).collect();
        parts
    });
    lines
        .filter_map(|rest| rest.split(')').next().map(str::to_owned))
        .collect()
}

/// What GitHub calls the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| line.strip_prefix('#'));
    let headings = headings.map(|heading| heading.trim_start_matches('#').trim().to_lowercase());
    let anchor = |heading: String| {
        let kept = heading
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in texts() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(path)
            };
            let leads = target.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 150, "hardly any: {followed}");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A line of a block that begins with one of our programs is a command that it has, with flags that it takes.
#[test]
fn every_command_is_one_that_its_program_has() {
    let programs = programs();
    let mut tried = 0;
    for page in texts() {
        let text = fs::read_to_string(&page).unwrap();
        for line in typed(&text) {
            let command = line.split(" #").next().unwrap().trim();
            let words: Vec<_> = command
                .split_whitespace()
                .skip_while(|word| word.contains('='))
                .collect();
            // In a pod it is called otherwise: `kubectl exec deploy/SHOP-order-service -- /program …`.
            let in_pod = words.iter().position(|word| *word == "/program");
            let program = programs.iter().find(|program| match in_pod {
                Some(_) => words
                    .iter()
                    .any(|word| word.starts_with("deploy/") && word.ends_with(program.name)),
                None => words.first() == Some(&program.name),
            });
            let Some(program) = program else { continue };
            let arguments = &words[in_pod.unwrap_or_default()..];
            let arguments: Vec<_> = arguments
                .iter()
                .take_while(|word| !word.starts_with(['|', '>', '&', ';']))
                .collect();
            // A name in capitals is the reader's to fill in.
            let filled = arguments.iter().map(|word| match **word {
                "EVENT" | "ID" => "0198c0de-0000-7000-8000-000000000001",
                other => other,
            });
            if let Err(error) = program.command.clone().try_get_matches_from(filled) {
                let shows = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
                assert!(
                    shows.contains(&error.kind()),
                    "{}: {command}\n{error}",
                    page.display()
                );
            }
            tried += 1;
        }
    }
    assert!(tried >= 8, "hardly any: {tried}");
}

/// It is the first page that anybody reads, and everything else has a page of its own.
#[test]
fn readme_is_short() {
    let lines = reference::read("README.md").unwrap().lines().count();
    assert!(lines <= 80, "README.md has {lines} lines");
}

/// Every page of the documentation can be found from its first one.
#[test]
fn every_page_is_listed() {
    let index = reference::read("docs/README.md").unwrap();
    let listed: BTreeSet<_> = links(&index).into_iter().collect();
    for page in texts() {
        let Ok(page) = page.strip_prefix(root().join("docs")) else {
            continue;
        };
        let page = page.display().to_string();
        let listed = listed.contains(&page) || page == "README.md" || page.starts_with("adr/");
        assert!(listed, "docs/README.md has no link to {page}");
    }
}

/// A folder says what is in it.
#[test]
fn every_top_folder_has_a_readme() {
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            assert!(path.join("README.md").exists(), "{name} has no README.md");
        }
    }
}
