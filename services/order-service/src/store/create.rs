//! Creating orders, many in one transaction.

use std::collections::HashSet;

use chassis::{
    idempotency::{
        IdempotencyKey, Repetition,
        table::{lock, saved},
    },
    postgres::Transaction,
};
use outbox::{Appended, Appending, Event};
use sqlx::PgExecutor;

use super::Store;
use crate::order::Order;

/// An order to be created.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// As it shall be.
    pub order: Order,
    /// Its `order.created`.
    pub event: Event,
    /// The key of the request, and the answer to be saved under it.
    pub key: Option<(IdempotencyKey, Vec<u8>)>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It is there.
    Created,
    /// Its key had been used before; nothing was created.
    Repeated(Repetition),
    /// A request with its key is being worked on right now; nothing was created.
    InFlight,
}

/// Everything of the orders in one statement: where none has a key, it is a transaction by itself.
const CREATE: &str = concat!(
    "WITH ",
    outbox::appended!(),
    ", new_orders AS (
         INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
         SELECT id, user_id, status, currency_code, total, created_at, created_at
         FROM unnest($10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::bigint[], $15::timestamptz[])
              AS new (id, user_id, status, currency_code, total, created_at)
     ), new_lines AS (
         INSERT INTO order_lines (order_id, line_no, product_id, product_name, quantity, unit_price_minor_units)
         SELECT order_id, line_no, product_id, product_name, quantity, unit_price
         FROM unnest($16::uuid[], $17::smallint[], $18::uuid[], $19::text[], $20::bigint[], $21::bigint[])
              AS new (order_id, line_no, product_id, product_name, quantity, unit_price)
     ), new_keys AS (
         INSERT INTO idempotency_keys (user_id, key, request_digest, answer)
         SELECT user_id, key, digest, answer
         FROM unnest($22::uuid[], $23::text[], $24::bytea[], $25::bytea[]) AS new (user_id, key, digest, answer)
     )
     SELECT seq, event_id, follows FROM appended"
);

impl Store {
    /// Creates the orders in one transaction, with their events and keys. One result per order, in order.
    pub async fn create(&self, orders: &[NewOrder]) -> sqlx::Result<Vec<Creation>> {
        if orders.iter().all(|new| new.key.is_none()) {
            let all: Vec<&NewOrder> = orders.iter().collect();
            let (appending, appended) = self.insert(&self.database, &all).await?;
            appending.committed(appended);
            return Ok(vec![Creation::Created; orders.len()]);
        }
        let mut transaction = self.database.begin().await?;
        let results = claim_keys(&mut transaction, orders).await?;
        let to_create: Vec<&NewOrder> = orders
            .iter()
            .zip(&results)
            .filter(|(_, result)| **result == Creation::Created)
            .map(|(new, _)| new)
            .collect();
        if !to_create.is_empty() {
            let (appending, appended) = self.insert(&mut transaction, &to_create).await?;
            transaction.on_commit(move || appending.committed(appended));
        }
        transaction.commit().await?;
        Ok(results)
    }

    async fn insert(
        &self,
        executor: impl PgExecutor<'_>,
        new: &[&NewOrder],
    ) -> sqlx::Result<(Appending, Vec<Appended>)> {
        let appending = self
            .outbox
            .appending(new.iter().map(|new| new.event.clone()).collect());
        let orders = || new.iter().map(|new| &new.order);
        let lines = || {
            orders().flat_map(|order| {
                (1_i16..)
                    .zip(&order.lines)
                    .map(|(line_no, line)| (order.id, line_no, line))
            })
        };
        let keys = || new.iter().filter_map(|new| new.key.as_ref());
        let appended = appending
            .bind(sqlx::query_as(CREATE))
            .bind(orders().map(|order| order.id).collect::<Vec<_>>())
            .bind(orders().map(|order| order.user_id).collect::<Vec<_>>())
            .bind(orders().map(|order| order.status.as_str()).collect::<Vec<_>>())
            .bind(orders().map(|order| order.currency.as_str()).collect::<Vec<_>>())
            .bind(orders().map(|order| order.total).collect::<Vec<_>>())
            .bind(orders().map(|order| order.created_at).collect::<Vec<_>>())
            .bind(lines().map(|(order_id, ..)| order_id).collect::<Vec<_>>())
            .bind(lines().map(|(_, line_no, _)| line_no).collect::<Vec<_>>())
            .bind(lines().map(|(.., line)| line.product_id).collect::<Vec<_>>())
            .bind(
                lines()
                    .map(|(.., line)| line.product_name.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(lines().map(|(.., line)| line.quantity).collect::<Vec<_>>())
            .bind(lines().map(|(.., line)| line.unit_price).collect::<Vec<_>>())
            .bind(keys().map(|(key, _)| key.user_id).collect::<Vec<_>>())
            .bind(keys().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
            .bind(keys().map(|(key, _)| key.digest.as_slice()).collect::<Vec<_>>())
            .bind(keys().map(|(_, answer)| answer.as_slice()).collect::<Vec<_>>())
            .fetch_all(executor)
            .await?;
        Ok((appending, appended))
    }
}

/// Decides for each order whether its key lets it be created.
async fn claim_keys(transaction: &mut Transaction, orders: &[NewOrder]) -> sqlx::Result<Vec<Creation>> {
    let keys: Vec<Option<&IdempotencyKey>> = orders
        .iter()
        .map(|new| new.key.as_ref().map(|(key, _)| key))
        .collect();
    let present: Vec<&IdempotencyKey> = keys.iter().flatten().copied().collect();
    if present.is_empty() {
        return Ok(vec![Creation::Created; orders.len()]);
    }
    let locked = lock(transaction, &present).await?;
    // After the locks: a twin that has just committed is seen.
    let saved = saved(&mut *transaction, present.iter().copied()).await?;
    let mut locked = locked.into_iter();
    let mut claimed = HashSet::new();
    Ok(keys
        .into_iter()
        .map(|key| {
            let Some(key) = key else { return Creation::Created };
            let has_lock = locked.next().unwrap_or_default();
            let name = key.name();
            match saved.get(&name) {
                Some(answer) => Creation::Repeated(key.compare(answer.clone())),
                // Within one transaction the lock is granted again: of twins in this batch the first goes on.
                None if has_lock && claimed.insert(name) => Creation::Created,
                None => Creation::InFlight,
            }
        })
        .collect())
}
