//! What came of it, by kind of request.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::latency::{Latencies, Percentiles};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Catalogue,
    Category,
    Search,
    Product,
    LogIn,
    Order,
    FollowOrder,
    Orders,
    Cancel,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue page",
            Self::Category => "category page",
            Self::Search => "search page",
            Self::Product => "product page",
            Self::LogIn => "log in",
            Self::Order => "place an order",
            Self::FollowOrder => "read an order",
            Self::Orders => "list of own orders",
            Self::Cancel => "cancel an order",
        }
    }
}

/// What was counted and timed.
#[derive(Default)]
pub(super) struct Tally {
    requests: BTreeMap<Kind, Latencies>,
    /// By status; 0 for one without an answer.
    errors: BTreeMap<Kind, BTreeMap<u16, usize>>,
    /// Orders that were seen to be decided, by status.
    pub(super) decided: BTreeMap<String, usize>,
    /// Carts that were left behind.
    pub(super) abandoned: usize,
}

impl Tally {
    /// A request that was answered as it should be.
    pub(super) fn answered(&mut self, kind: Kind, took: Duration) {
        self.requests.entry(kind).or_default().add(took);
    }

    /// One that was not.
    pub(super) fn failed(&mut self, kind: Kind, status: u16) {
        *self.errors.entry(kind).or_default().entry(status).or_default() += 1;
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (kind, latencies) in other.requests {
            self.requests.entry(kind).or_default().extend(latencies);
        }
        for (kind, errors) in other.errors {
            let sum = self.errors.entry(kind).or_default();
            for (status, count) in errors {
                *sum.entry(status).or_default() += count;
            }
        }
        for (status, count) in other.decided {
            *self.decided.entry(status).or_default() += count;
        }
        self.abandoned += other.abandoned;
    }

    /// The rows of the report, of a load that lasted so long.
    pub(super) fn rows(mut self, duration: Duration) -> Vec<Row> {
        let kinds: Vec<_> = self.errors.keys().copied().collect();
        for kind in kinds {
            self.requests.entry(kind).or_default();
        }
        let mut rows = Vec::new();
        let mut all = Latencies::default();
        let mut all_errors: BTreeMap<u16, usize> = BTreeMap::new();
        for (kind, latencies) in self.requests {
            let errors = self.errors.remove(&kind).unwrap_or_default();
            for (status, count) in &errors {
                *all_errors.entry(*status).or_default() += count;
            }
            all.extend(latencies.clone());
            rows.push(Row::new(kind.name(), latencies, errors, duration));
        }
        rows.push(Row::new("all", all, all_errors, duration));
        rows
    }
}

/// A kind of request, or all.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) kind: &'static str,
    pub(super) answered: usize,
    pub(super) per_second: f64,
    pub(super) ms: Percentiles,
    pub(super) errors: BTreeMap<u16, usize>,
}

impl Row {
    fn new(
        kind: &'static str,
        latencies: Latencies,
        errors: BTreeMap<u16, usize>,
        duration: Duration,
    ) -> Self {
        let answered = latencies.len();
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        let per_second = answered as f64 / duration.as_secs_f64();
        Self {
            kind,
            answered,
            per_second,
            ms: latencies.percentiles(),
            errors,
        }
    }
}

/// A table of all.
pub(super) fn print(rows: &[Row]) {
    println!(
        "\n{:<20} {:>9} {:>8} {:>9} {:>9} {:>9} {:>9}  errors by status",
        "ms", "answered", "a second", "p50", "p95", "p99", "max"
    );
    for row in rows {
        let errors = if row.errors.is_empty() {
            "none".to_owned()
        } else {
            format!("{:?}", row.errors)
        };
        println!(
            "{:<20} {:>9} {:>8.1} {:>9.2} {:>9.2} {:>9.2} {:>9.2}  {errors}",
            row.kind, row.answered, row.per_second, row.ms.p50, row.ms.p95, row.ms.p99, row.ms.max
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_even_where_nothing_was_answered() {
        let mut tally = Tally::default();
        tally.answered(Kind::Product, Duration::from_millis(2));
        tally.failed(Kind::Order, 503);
        let mut other = Tally::default();
        other.failed(Kind::Order, 503);
        other.failed(Kind::Product, 0);
        tally.extend(other);
        let rows = tally.rows(Duration::from_secs(2));
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.kind, row.answered, row.errors.clone()))
            .collect();
        assert_eq!(
            shown,
            [
                ("product page", 1, [(0, 1)].into()),
                ("place an order", 0, [(503, 2)].into()),
                ("all", 1, [(0, 1), (503, 2)].into()),
            ]
        );
    }
}
