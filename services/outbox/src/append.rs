//! Appending: events are written by the statement that makes the change, or by one of their own beside it.

use std::{collections::HashMap, time::Instant};

use chassis::postgres::Transaction;
use sqlx::{Postgres, postgres::PgArguments, query::QueryAs};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    Event, Outbox,
    fresh::{LEASE, Pending},
};

/// Common table expressions that append events, for a statement that makes the change, too: one round trip to the database,
/// and, where nothing else is to be done, a transaction by itself. They stand first, after `WITH`, have the parameters `$1`
/// to `$9`, which [`Appending::bind`] binds, and end with `appended`, of which the statement gives `seq, event_id, follows`:
/// an [`Appended`] each.
#[macro_export]
macro_rules! appended {
    () => {
        // A subject's changes are made one after the other, under the lock of its own row: an earlier event of it is
        // committed by now, and seen.
        "earlier AS (
             SELECT subject, max(seq) AS seq FROM outbox_events WHERE subject = ANY($9) GROUP BY subject
         ), added AS (
             INSERT INTO outbox_events
                 (event_id, subject, type, data, traceparent, tracestate, occurred_at, next_attempt_at)
             SELECT new.event_id, new.subject, new.type, new.data, new.traceparent, new.tracestate, new.occurred_at,
                    clock_timestamp() + make_interval(secs => $8)
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
                  WITH ORDINALITY
                  AS new (event_id, subject, type, data, traceparent, tracestate, occurred_at, place)
             ORDER BY new.place
             RETURNING seq, event_id, subject
         ), appended AS (
             SELECT added.seq, added.event_id, earlier.seq AS follows
             FROM added LEFT JOIN earlier ON earlier.subject = added.subject
         )"
    };
}

const APPEND: &str = concat!(
    "WITH ",
    appended!(),
    " SELECT seq, event_id, follows FROM appended"
);

/// Where an event is.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    seq: i64,
    event_id: Uuid,
    follows: Option<i64>,
}

chassis::from_row!(Appended {
    seq,
    event_id,
    follows
});

/// Events that are being appended, in their order. Whoever appends them says when they are committed.
#[derive(Debug)]
pub struct Appending {
    events: Vec<Event>,
    committed: mpsc::Sender<Vec<Pending>>,
}

impl Outbox {
    /// Events for a statement with [`appended!`](crate::appended), but for those that nobody listens to.
    pub fn appending(&self, mut events: Vec<Event>) -> Appending {
        let now = Instant::now();
        events.retain(|event| !self.unheard.covers(&event.kind, now));
        Appending {
            events,
            committed: self.committed.clone(),
        }
    }

    /// Adds events to the transaction, in the order given, but for those that nobody listens to. They are published once
    /// it has committed.
    pub async fn append(&self, transaction: &mut Transaction, events: Vec<Event>) -> sqlx::Result<()> {
        let appending = self.appending(events);
        if appending.events.is_empty() {
            return Ok(());
        }
        let appended = appending
            .bind(sqlx::query_as(APPEND))
            .fetch_all(&mut *transaction)
            .await?;
        transaction.on_commit(move || appending.committed(appended));
        Ok(())
    }
}

impl Appending {
    /// Binds `$1` to `$9`.
    pub fn bind<'q, R>(
        &'q self,
        query: QueryAs<'q, Postgres, R, PgArguments>,
    ) -> QueryAs<'q, Postgres, R, PgArguments> {
        let events = &self.events;
        let later = events.iter().filter(|event| !event.is_first);
        query
            .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.subject).collect::<Vec<_>>())
            .bind(texts(events, |event| &event.kind))
            .bind(texts(events, |event| &event.data))
            .bind(texts(events, |event| &event.trace.traceparent))
            .bind(texts(events, |event| &event.trace.tracestate))
            .bind(events.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
            .bind(LEASE.as_secs_f64())
            .bind(later.map(|event| event.subject).collect::<Vec<_>>())
    }

    /// They are committed, there: they go to the relay. Does not block.
    pub fn committed(self, appended: Vec<Appended>) {
        let places: HashMap<Uuid, Appended> = appended
            .into_iter()
            .map(|place| (place.event_id, place))
            .collect();
        let appended = Instant::now();
        let pending = self.events.into_iter().filter_map(|event| {
            let Appended { seq, follows, .. } = *places.get(&event.id)?;
            Some(Pending {
                seq,
                attempts: 0,
                event,
                follows,
                appended,
            })
        });
        // Without room the events are where they are safe, and the sweep finds them.
        if self.committed.try_send(pending.collect()).is_err() {
            tracing::debug!("committed events are left to the sweep");
        }
    }
}

fn texts<'e>(events: &'e [Event], text: impl Fn(&'e Event) -> &'e str) -> Vec<&'e str> {
    events.iter().map(text).collect()
}
