//! Which orders a list shows.
//!
//! Lists are by id, newest first, for an id begins with the time at which it was made (UUIDv7, RFC 9562, section 5.7). So
//! the indexes by id serve for times too: an order's id and its `created_at` are never further apart than [`APART`].

use std::{ops::Range, time::Duration};

use chassis::page::ListDigest;
use time::OffsetDateTime;
use uuid::Uuid;

use super::OrderStatus;

/// How far the time in an order's id and its time of creation may be apart.
const APART: Duration = Duration::from_secs(1);

/// Which orders; all where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only this user's.
    pub user_id: Option<Uuid>,
    /// Only those with this status.
    pub status: Option<OrderStatus>,
    /// Only those placed then or later.
    pub created_from: Option<OffsetDateTime>,
    /// Only those placed before.
    pub created_to: Option<OffsetDateTime>,
}

impl OrderFilter {
    /// Whether it doesn't matter when an order was placed.
    pub fn is_of_all_times(&self) -> bool {
        self.created_from.is_none() && self.created_to.is_none()
    }

    /// Between which ids all orders are that were placed in those times; a few before and behind are there too.
    pub fn ids(&self) -> Range<Uuid> {
        let from = self
            .created_from
            .map(|from| first_id(from.saturating_sub(apart())));
        let to = self.created_to.map(|to| first_id(to.saturating_add(apart())));
        from.unwrap_or(Uuid::nil())..to.unwrap_or(Uuid::max())
    }

    /// What the cursors of the list belong to.
    pub fn digest(&self) -> ListDigest {
        let text = |value: Option<String>| value.unwrap_or_default();
        let time =
            |time: Option<OffsetDateTime>| text(time.map(|time| time.unix_timestamp_nanos().to_string()));
        ListDigest::of(
            "orders",
            &[
                &text(self.user_id.map(|user| user.to_string())),
                self.status.map_or("", OrderStatus::as_str),
                &time(self.created_from),
                &time(self.created_to),
            ],
        )
    }
}

/// When an order with that id is placed: now, unless the clock was set since the id's time was taken, which is kept then.
pub fn placed_at(id: Uuid, now: OffsetDateTime) -> OffsetDateTime {
    let made = id.get_timestamp().and_then(|made| {
        let (seconds, nanos) = made.to_unix();
        let made = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
        made.replace_nanosecond(nanos).ok()
    });
    match made {
        Some(made) if (now - made).unsigned_abs() >= APART => made,
        _ => now,
    }
}

fn apart() -> time::Duration {
    time::Duration::try_from(APART).unwrap_or(time::Duration::ZERO)
}

/// The least id of those that were made at that time.
pub fn first_id(time: OffsetDateTime) -> Uuid {
    let milliseconds = (time.unix_timestamp_nanos() / 1_000_000).clamp(0, (1 << 48) - 1);
    let milliseconds = u128::try_from(milliseconds).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    #[test]
    fn all_orders_of_a_time_are_between_its_ids() {
        let (from, to) = (
            datetime!(2026-01-02 03:04:05 UTC),
            datetime!(2026-01-02 04:00 UTC),
        );
        let filter = OrderFilter {
            created_from: Some(from),
            created_to: Some(to),
            ..OrderFilter::default()
        };
        let made_at = |time: OffsetDateTime| {
            let seconds = u64::try_from(time.unix_timestamp()).unwrap();
            Uuid::new_v7(uuid::Timestamp::from_unix(
                uuid::NoContext,
                seconds,
                time.nanosecond(),
            ))
        };
        let ids = filter.ids();
        assert!(ids.contains(&made_at(from)) && ids.contains(&made_at(to)));
        assert!(ids.contains(&made_at(from - time::Duration::milliseconds(999))));
        assert!(!ids.contains(&made_at(from - time::Duration::seconds(2))));
        assert!(!ids.contains(&made_at(to + time::Duration::seconds(2))));
        let all = OrderFilter::default();
        assert!(all.is_of_all_times() && all.ids().contains(&made_at(to)));
        for extreme in [
            datetime!(-9999-01-01 0:00 UTC),
            datetime!(9999-12-31 23:59:59 UTC),
        ] {
            let filter = OrderFilter {
                created_from: Some(extreme),
                created_to: Some(extreme),
                ..OrderFilter::default()
            };
            assert!(!filter.ids().contains(&made_at(to)), "{extreme}");
        }
    }

    #[test]
    fn an_order_is_placed_at_the_time_of_its_id_also_where_the_clock_is_set_back() {
        let id = Uuid::now_v7();
        let now = OffsetDateTime::now_utc();
        assert_eq!(placed_at(id, now), now);
        let back = now - time::Duration::hours(1);
        let placed = placed_at(id, back);
        assert!((now - placed).unsigned_abs() < APART && placed > back);
    }

    #[test]
    fn cursors_belong_to_what_is_asked_for() {
        let now = Some(OffsetDateTime::now_utc());
        let filters = [
            OrderFilter::default(),
            OrderFilter {
                user_id: Some(Uuid::now_v7()),
                ..OrderFilter::default()
            },
            OrderFilter {
                status: Some(OrderStatus::Pending),
                ..OrderFilter::default()
            },
            OrderFilter {
                created_from: now,
                ..OrderFilter::default()
            },
            OrderFilter {
                created_to: now,
                ..OrderFilter::default()
            },
        ];
        for (index, filter) in filters.iter().enumerate() {
            assert!(
                filters[..index]
                    .iter()
                    .all(|other| other.digest() != filter.digest()),
                "{filter:?}"
            );
        }
    }
}
