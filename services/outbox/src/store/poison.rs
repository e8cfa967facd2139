//! Events that were set aside: what a person does with them.

use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// An event that can't be published.
#[derive(Debug, Serialize)]
pub(crate) struct PoisonEvent {
    pub(crate) event_id: Uuid,
    pub(crate) subject: Uuid,
    pub(crate) r#type: String,
    pub(crate) reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) set_aside_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) data: String,
    pub(crate) traceparent: String,
    pub(crate) tracestate: String,
}

chassis::from_row!(PoisonEvent {
    event_id,
    subject,
    r#type,
    reason,
    set_aside_at,
    occurred_at,
    data,
    traceparent,
    tracestate
});

/// The oldest of them.
pub(crate) async fn list(session: &mut PgConnection, limit: u32) -> sqlx::Result<Vec<PoisonEvent>> {
    sqlx::query_as(
        "SELECT event_id, subject, type, reason, set_aside_at, occurred_at, data, traceparent, tracestate
         FROM outbox_poison ORDER BY set_aside_at, event_id LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(session)
    .await
}

/// What the database's clock says.
pub(crate) async fn now(session: &mut PgConnection) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar("SELECT now()").fetch_one(session).await
}

/// Puts the oldest back into the outbox, or the one of that id, of those that were set aside until then. Says how many:
/// none where there is none.
pub(crate) async fn requeue(
    session: &mut PgConnection,
    event_id: Option<Uuid>,
    until: OffsetDateTime,
    limit: u32,
) -> sqlx::Result<u64> {
    let requeued = sqlx::query(
        "WITH back AS (
             DELETE FROM outbox_poison WHERE event_id IN (
                 SELECT event_id FROM outbox_poison
                 WHERE ($1::uuid IS NULL OR event_id = $1) AND set_aside_at <= $2
                 ORDER BY occurred_at, event_id LIMIT $3 FOR UPDATE
             )
             RETURNING event_id, subject, type, data, traceparent, tracestate, occurred_at
         )
         INSERT INTO outbox_events (event_id, subject, type, data, traceparent, tracestate, occurred_at)
         SELECT event_id, subject, type, data, traceparent, tracestate, occurred_at FROM back
         ORDER BY occurred_at, event_id",
    )
    .bind(event_id)
    .bind(until)
    .bind(i64::from(limit))
    .execute(session)
    .await?;
    Ok(requeued.rows_affected())
}
