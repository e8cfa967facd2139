//! The command line.

#![allow(clippy::doc_markdown, reason = "the comments of flags are what --help prints")]

use clap::{Parser, Subcommand};

/// Makes a cluster hold what its Shop resources ask for, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "shop-operator", version)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Prints the CustomResourceDefinition of Shop as YAML.
    Crd,
}
