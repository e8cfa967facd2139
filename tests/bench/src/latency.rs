//! Durations, and their percentiles.

use std::time::Duration;

use serde::Serialize;

#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latencies {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many are longer than that.
    pub(crate) fn above(&self, limit: Duration) -> usize {
        self.0.iter().filter(|duration| **duration > limit).count()
    }

    pub(crate) fn percentiles(mut self) -> Percentiles {
        self.0.sort_unstable();
        let at = |percent: usize| {
            let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
            self.0
                .get(index)
                .map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
        };
        Percentiles {
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        }
    }
}

impl Percentiles {
    /// One line of a table.
    pub(crate) fn print(self, name: &str) {
        println!(
            "  {name:<26} p50 {:>8.2}  p99 {:>8.2}  max {:>8.2}",
            self.p50, self.p99, self.max
        );
    }
}
