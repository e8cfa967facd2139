//! The six binaries that are tested: those of the working tree, in the test's own profile.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, bail};

use crate::Service;

/// The binary of a service, brought up to date.
///
/// # Errors
/// Where it can't be built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    Ok(folder()?.join(name))
}

/// The folder of the binaries. The first call brings them up to date, which takes cargo a moment where they are.
pub(crate) fn folder() -> anyhow::Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOLDER.get_or_init(|| build().map_err(|error| format!("{error:#}"))) {
        Ok(folder) => Ok(folder),
        Err(error) => bail!("the services can't be built: {error}"),
    }
}

fn build() -> anyhow::Result<PathBuf> {
    // <target>/<host>/<profile>/deps/<test>-<hash>: .cargo/config.toml names the host as the target.
    let test = std::env::current_exe()?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("the test stands outside of a target folder")?;
    let target = folder
        .parent()
        .and_then(Path::parent)
        .context("the profile's folder is not two below the target folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => bail!("the profile's folder has no name"),
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--quiet", "--profile", profile])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(target)
        // With the features that the whole workspace asks for, so that no dependency is built twice.
        .arg("--workspace");
    for service in Service::ALL {
        cargo.args(["--bin", service.name()]);
    }
    // What cargo tells a test about its package is none of this build's business: ring's build script watches such
    // variables, and everything that stands on TLS would be built again.
    for (name, _) in std::env::vars_os() {
        let of_a_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name.starts_with("CARGO_CRATE_")
        });
        if of_a_package {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().context("cargo can't be run")?;
    if !status.success() {
        bail!("cargo build: {status}");
    }
    Ok(folder.to_owned())
}
