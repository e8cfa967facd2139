//! `docs/reference`, made from what the shop is made of: settings from the command lines that the programs have, metrics and
//! events of security from the sources, kinds of problems from the gateway's table, the API and the events from their
//! documents, and the fields of a Shop from the operator's types. `cargo run --bin reference` writes the pages, and a test
//! fails where they differ.
//!
//! To start: [`pages`] lists them, one module makes one page. [`sources`] reads Rust, [`markdown`] writes tables.

pub mod api;
pub mod commands;
pub mod configuration;
pub mod events;
pub mod markdown;
pub mod metrics;
pub mod problems;
pub mod programs;
pub mod schema;
pub mod security_events;
pub mod shop;
pub mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// One page of the reference.
#[derive(Debug)]
pub struct Page {
    /// Its file in `docs/reference`.
    pub file: &'static str,
    /// All of it.
    pub text: String,
}

/// Every page that is made.
pub fn pages() -> anyhow::Result<Vec<Page>> {
    let page = |file, text: anyhow::Result<String>| {
        let text = text.with_context(|| format!("docs/reference/{file}"))?;
        Ok(Page { file, text })
    };
    [
        page("api.md", api::page()),
        page("commands.md", commands::page()),
        page("configuration.md", configuration::page()),
        page("events.md", events::page()),
        page("metrics.md", metrics::page()),
        page("problem-types.md", problems::page()),
        page("security-events.md", security_events::page()),
        page("shop-resource.md", shop::page()),
    ]
    .into_iter()
    .collect()
}

/// The checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A file of the checkout.
pub fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

/// Where the pages are.
pub fn folder() -> PathBuf {
    root().join("docs/reference")
}
