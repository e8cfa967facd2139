//! The files of the charts against the code that they install. What Helm makes of them: `tests/helm`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod values_schema;

use std::path::PathBuf;

use serde_json::Value;

/// A folder of a chart.
fn chart(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../charts")
        .join(name)
}

#[test]
fn the_charts_have_the_version_of_the_programs() {
    for name in ["shop-operator", "shop"] {
        let text = std::fs::read_to_string(chart(name).join("Chart.yaml")).unwrap();
        let chart: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(chart["name"], name);
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "{name}");
    }
}

/// Helm reads nothing outside of a chart, so that it has copies.
#[test]
fn dashboards_and_rules_are_those_of_the_checkout() {
    let read = |folder: PathBuf, extension: &str| -> std::collections::BTreeMap<String, String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|of| of == extension))
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect()
    };
    let copies = chart("shop-operator").join("files/observability");
    let sources = chart("..").join("deploy/observability");
    for (copy, source, extension) in [
        ("dashboards", "dashboards", "json"),
        ("rules", "prometheus/rules", "yaml"),
    ] {
        let (copies, sources) = (
            read(copies.join(copy), extension),
            read(sources.join(source), extension),
        );
        assert!(!sources.is_empty());
        assert!(
            copies == sources,
            "{copy}: deploy/observability/build writes them"
        );
    }
}
