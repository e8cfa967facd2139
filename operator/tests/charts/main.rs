//! The files of the charts against the code that they install. What Helm makes of them: `tests/helm`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod values_schema;

use std::path::PathBuf;

use serde_json::Value;

/// A folder of a chart.
fn chart(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../charts")
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
