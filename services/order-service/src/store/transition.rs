//! Changing the status of orders, each change with its event.

use std::collections::HashMap;

use chassis::{grpc::Principal, open_enum::Open};
use proto::{event::EventType, trace::TraceContext};
use sqlx::{PgExecutor, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::{
    audited, events,
    order::{OrderStatus, Outcome, Step, TransitionError, step},
};

/// Why a status was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// There is no such order, or it is somebody else's.
    #[error("there is no such order")]
    NotFound,
    /// The order has another status than was expected.
    #[error("the order is {0} by now")]
    Unexpected(String),
    /// The order's status does not allow it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The event can't be written down.
    #[error("the event: {0}")]
    Event(#[from] serde_json::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What an order's status is after its outcome was recorded; none where there is no such order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The order.
    pub order_id: Uuid,
    /// Its status now.
    pub status: Option<Open<OrderStatus>>,
    /// Whether it is new.
    pub changed: bool,
}

/// The events of an outcome.
const DECIDED: [EventType; 2] = [EventType::OrderConfirmed, EventType::OrderRejected];

impl Store {
    /// Changes one order's status by hand, and says whether it had another; with `user_id`, only if it is that user's, and
    /// with `expected`, only if it has that status.
    pub async fn set_status(
        &self,
        principal: &Principal,
        (id, user_id): (Uuid, Option<Uuid>),
        expected: Option<&str>,
        to: OrderStatus,
        trace: TraceContext,
        now: OffsetDateTime,
    ) -> Result<Step, StatusError> {
        let mut transaction = self.database.begin().await?;
        let row: Option<(Uuid, String)> = sqlx::query_as(
            "SELECT user_id, status FROM orders WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2) FOR UPDATE",
        )
        .bind(id)
        .bind(user_id)
        .fetch_optional(&mut transaction)
        .await?;
        let (owner, from) = row.ok_or(StatusError::NotFound)?;
        if expected.is_some_and(|expected| expected != from) {
            return Err(StatusError::Unexpected(from));
        }
        if step(Open::parse(&from), to)? == Step::Done {
            return Ok(Step::Done);
        }
        sqlx::query("UPDATE orders SET status = $2, updated_at = $3 WHERE id = $1")
            .bind(id)
            .bind(to.as_str())
            .bind(now)
            .execute(&mut transaction)
            .await?;
        let event = events::changed(id, owner, to, None, &trace, now)?;
        self.outbox
            .append(&mut transaction, event.into_iter().collect())
            .await?;
        let record = audited::status_changed(id, &from, to);
        audit::append(&mut transaction, principal, &[record]).await?;
        transaction.commit().await?;
        Ok(Step::Change)
    }

    /// Records outcomes of many orders in one transaction; each order once. Only a pending order is changed: repeated
    /// outcomes and those of orders that were cancelled meanwhile are answered with the status there is.
    pub async fn record_outcomes(
        &self,
        outcomes: &[(Uuid, Outcome, TraceContext)],
        now: OffsetDateTime,
    ) -> Result<Vec<Recorded>, StatusError> {
        let owners = if DECIDED.iter().any(|kind| self.outbox.is_heard(*kind)) {
            let mut transaction = self.database.begin().await?;
            let owners = decide(&mut transaction, outcomes, now).await?;
            let mut decided = Vec::with_capacity(owners.len());
            for (id, outcome, trace) in outcomes {
                if let Some(owner) = owners.get(id) {
                    decided.extend(events::changed(
                        *id,
                        *owner,
                        outcome.status(),
                        outcome.rejection(),
                        trace,
                        now,
                    )?);
                }
            }
            self.outbox.append(&mut transaction, decided).await?;
            transaction.commit().await?;
            owners
        } else {
            // The statement is all there is to do, and a transaction of its own.
            decide(&self.database, outcomes, now).await?
        };
        let others: Vec<Uuid> = outcomes
            .iter()
            .map(|(id, ..)| *id)
            .filter(|id| !owners.contains_key(id))
            .collect();
        let known: HashMap<Uuid, Open<OrderStatus>> = if others.is_empty() {
            HashMap::new()
        } else {
            self.statuses(&others).await?.into_iter().collect()
        };
        let recorded = |(id, outcome, _): &(Uuid, Outcome, TraceContext)| {
            let changed = owners.contains_key(id);
            let status = if changed {
                Some(outcome.status().into())
            } else {
                known.get(id).cloned()
            };
            Recorded {
                order_id: *id,
                status,
                changed,
            }
        };
        Ok(outcomes.iter().map(recorded).collect())
    }
}

/// Writes the outcomes of orders that are pending; says which those were, and whose.
async fn decide(
    executor: impl PgExecutor<'_>,
    outcomes: &[(Uuid, Outcome, TraceContext)],
    now: OffsetDateTime,
) -> sqlx::Result<HashMap<Uuid, Uuid>> {
    // Sorted, so that batches that share orders lock them in one order.
    let mut sorted: Vec<&(Uuid, Outcome, TraceContext)> = outcomes.iter().collect();
    sorted.sort_unstable_by_key(|(id, ..)| *id);
    let rejections = || sorted.iter().map(|(_, outcome, _)| outcome.rejection());
    // The status is written so that no index fits it: the planner would look through all pending orders, and through all
    // that were, in the one by status.
    let owners: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "UPDATE orders
         SET status = outcome.status, rejection_reason = outcome.reason, rejected_product = outcome.product,
             rejected_lines = outcome.lines, decided_at = $5, updated_at = $5
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $6::jsonb[])
              AS outcome (id, status, reason, product, lines)
         WHERE orders.id = outcome.id AND orders.status || '' = 'pending'
         RETURNING orders.id, orders.user_id",
    )
    .bind(sorted.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(
        sorted
            .iter()
            .map(|(_, outcome, _)| outcome.status().as_str())
            .collect::<Vec<_>>(),
    )
    .bind(
        rejections()
            .map(|rejection| rejection.map(|rejection| rejection.first.reason.as_str()))
            .collect::<Vec<_>>(),
    )
    .bind(
        rejections()
            .map(|rejection| rejection.map(|rejection| rejection.first.product_id))
            .collect::<Vec<_>>(),
    )
    .bind(now)
    .bind(
        rejections()
            .map(|rejection| {
                let several = rejection.filter(|rejection| !rejection.others.is_empty())?;
                Some(Json(events::rejected_lines(several)))
            })
            .collect::<Vec<_>>(),
    )
    .fetch_all(executor)
    .await?;
    Ok(owners.into_iter().collect())
}
