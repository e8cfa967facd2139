//! What the operator counts itself, as its `/metrics` tell it.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::Serialize;

const REQUESTS: &str = "shop_operator_api_server_requests_total";
const RECONCILES: &str = "shop_operator_reconcile_duration_seconds_count";

/// Counters, since the operator started or since an earlier look.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Counts {
    /// Requests to the API server by HTTP method.
    pub(super) requests: BTreeMap<String, f64>,
    /// Reconciliations by how they ended.
    pub(super) reconciles: BTreeMap<String, f64>,
}

impl Counts {
    pub(super) fn parse(metrics: &str) -> anyhow::Result<Self> {
        let counts = Self {
            requests: by_label(metrics, REQUESTS, "method")?,
            reconciles: by_label(metrics, RECONCILES, "outcome")?,
        };
        // It can't have started without any.
        ensure!(
            !counts.requests.is_empty(),
            "the operator's /metrics have no {REQUESTS}"
        );
        Ok(counts)
    }

    /// What was added since then.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            requests: difference(&self.requests, &before.requests),
            reconciles: difference(&self.reconciles, &before.reconciles),
        }
    }

    pub(super) fn all_requests(&self) -> f64 {
        sum(self.requests.values())
    }

    /// Requests that change something.
    pub(super) fn writes(&self) -> f64 {
        let writes = self.requests.iter().filter(|(method, _)| *method != "GET");
        sum(writes.map(|(_, count)| count))
    }

    pub(super) fn all_reconciles(&self) -> f64 {
        sum(self.reconciles.values())
    }
}

fn sum<'a>(counters: impl Iterator<Item = &'a f64>) -> f64 {
    // The sum of nothing would be -0.
    counters.fold(0.0, |sum, count| sum + count)
}

/// Each counter divided by a number, for people: "GET 30.1, PATCH 25.0".
pub(super) fn each(counters: &BTreeMap<String, f64>, by: f64) -> String {
    let shares = counters
        .iter()
        .map(|(name, count)| format!("{name} {:.1}", count / by));
    shares.collect::<Vec<_>>().join(", ")
}

/// The samples of a metric by one of their labels.
fn by_label(metrics: &str, name: &str, label: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, value)) = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('{'))
            .and_then(|rest| rest.rsplit_once("} "))
        else {
            continue;
        };
        let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        if let Some((_, of)) = pairs.find(|(key, _)| *key == label) {
            *found.entry(of.trim_matches('"').to_owned()).or_default() += value.trim().parse::<f64>()?;
        }
    }
    Ok(found)
}

fn difference(now: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    now.iter()
        .map(|(key, count)| (key.clone(), count - before.get(key).copied().unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# TYPE shop_operator_api_server_requests_total counter
shop_operator_api_server_requests_total{method="GET",otel_scope_name="shop"} 12
shop_operator_api_server_requests_total{otel_scope_name="shop",method="PATCH"} 30
shop_operator_reconcile_duration_seconds_bucket{outcome="settled",le="0.1"} 4
shop_operator_reconcile_duration_seconds_count{outcome="settled"} 5
shop_operator_reconciles_running{otel_scope_name="shop"} 0
"#;

    #[test]
    fn counters_are_found_by_their_labels() {
        let counts = Counts::parse(METRICS).unwrap();
        assert_eq!(each(&counts.requests, 2.0), "GET 6.0, PATCH 15.0");
        assert_eq!(each(&counts.reconciles, 1.0), "settled 5.0");
        assert_eq!(each(&counts.since(&counts).requests, 1.0), "GET 0.0, PATCH 0.0");
        assert_eq!((counts.writes() - 30.0).abs().to_string(), "0");
    }

    #[test]
    fn metrics_of_something_else_are_refused() {
        assert!(Counts::parse("up 1\n").is_err());
    }
}
