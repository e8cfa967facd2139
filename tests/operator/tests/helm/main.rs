//! The charts as Helm renders them, which `tests/cluster/up` puts on the path. `cargo test --test helm` runs them, and only
//! by that name: see Cargo.toml.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod operator_chart;
mod shop_chart;

use std::{path::PathBuf, process::Command};

use serde_json::Value;

/// A folder of a chart.
fn chart(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../charts")
        .join(name)
}

fn helm(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("helm")
        .args(arguments)
        .output()
        .expect("helm is on the path: eval \"$(tests/cluster/up)\"");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

/// What a release named `demo` in the namespace `shops` is made of, with values in YAML.
fn template(name: &str, values: &str) -> Result<Vec<Value>, String> {
    Ok(documents(&text(name, values)?))
}

/// The same as Helm writes it.
fn text(name: &str, values: &str) -> Result<String, String> {
    let folder = tempdir();
    let file = folder.join(format!("{}-{}.yaml", name, rand::random::<u64>()));
    std::fs::write(&file, values).unwrap();
    let chart = chart(name);
    let rendered = helm(&[
        "template",
        "demo",
        chart.to_str().unwrap(),
        "--namespace=shops",
        "--values",
        file.to_str().unwrap(),
    ]);
    std::fs::remove_file(file).unwrap();
    rendered
}

fn tempdir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The documents of a text, but for the empty ones.
fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

#[test]
fn helm_finds_nothing_wrong() {
    for name in ["shop-operator", "shop"] {
        let linted = helm(&["lint", "--strict", chart(name).to_str().unwrap()]);
        assert!(linted.is_ok(), "{name}: {linted:?}");
    }
}
