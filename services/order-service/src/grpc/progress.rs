//! How long orders take to get where they get: what customers wait for.

use chassis::telemetry::meter;
use opentelemetry::{KeyValue, metrics::Histogram};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::order::OrderStatus;

/// From the blink in which an order is decided to the week in which it is delivered, in seconds.
const BOUNDARIES: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0,
];

/// The metric of orders that change their status.
#[derive(Clone, Debug)]
pub(super) struct Progress(Histogram<f64>);

impl Progress {
    pub(super) fn new() -> Self {
        let histogram = meter()
            .f64_histogram("shop.orders.time_to_status")
            .with_description("Time from an order's creation to each status that it gets")
            .with_unit("s")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Self(histogram)
    }

    /// Notes that an order has another status now.
    pub(super) fn reached(&self, order: Uuid, status: OrderStatus, now: OffsetDateTime) {
        if let Some(age) = age(order, now) {
            self.0
                .record(age, &[KeyValue::new("shop.order.status", status.as_str())]);
        }
    }
}

/// The seconds since an order was created, which its id tells to the millisecond (UUIDv7, RFC 9562). One that was made by
/// another machine, whose clock is ahead, was created just now.
fn age(order: Uuid, now: OffsetDateTime) -> Option<f64> {
    let (seconds, nanos) = order.get_timestamp()?.to_unix();
    let created = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?
        + time::Duration::nanoseconds(i64::from(nanos));
    Some((now - created).as_seconds_f64().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_as_old_as_its_id() {
        let order = Uuid::now_v7();
        let now = OffsetDateTime::now_utc();
        let old = age(order, now + time::Duration::hours(2));
        assert!(
            old.is_some_and(|old| (7_200.0..7_201.0).contains(&old)),
            "{old:?}"
        );
        assert_eq!(age(order, now - time::Duration::hours(2)), Some(0.0));
        assert_eq!(age(Uuid::nil(), now), None);
    }
}
