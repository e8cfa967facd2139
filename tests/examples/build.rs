//! Writes each example in Rust of `docs/openapi.json` into a module of its own.

use std::{env, error::Error, fs, path::Path};

use serde_json::Value;

const DOCUMENT: &str = "../../docs/openapi.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    println!("cargo::rerun-if-changed=build.rs");
    let document: Value = serde_json::from_str(&fs::read_to_string(DOCUMENT)?)?;
    let paths = document["paths"].as_object().ok_or("no paths")?.values();
    let operations = paths
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values);
    let mut modules = Vec::new();
    for (number, operation) in operations.enumerate() {
        let samples = operation["x-codeSamples"].as_array().ok_or("no examples")?;
        let sample = samples.iter().find(|sample| sample["lang"] == "Rust");
        let source = sample
            .and_then(|sample| sample["source"].as_str())
            .ok_or("none in Rust")?;
        let name = &operation["operationId"];
        modules.push(format!("/// {name}\nmod example_{number} {{\n{source}}}\n"));
    }
    let folder = env::var("OUT_DIR")?;
    fs::write(Path::new(&folder).join("examples.rs"), modules.concat())?;
    Ok(())
}
