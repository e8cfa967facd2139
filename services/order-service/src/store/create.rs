//! Creating orders, many in one transaction.

use std::collections::HashSet;

use chassis::postgres::Transaction;
use outbox::Event;

use super::{Store, idempotency::saved};
use crate::{
    idempotency::{IdempotencyKey, Repetition},
    order::Order,
};

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

impl Store {
    /// Creates the orders in one transaction, with their events and keys. One result per order, in order.
    pub async fn create(&self, orders: &[NewOrder]) -> sqlx::Result<Vec<Creation>> {
        let mut transaction = self.database.begin().await?;
        let results = claim_keys(&mut transaction, orders).await?;
        let to_create: Vec<&NewOrder> = orders
            .iter()
            .zip(&results)
            .filter(|(_, result)| **result == Creation::Created)
            .map(|(new, _)| new)
            .collect();
        if !to_create.is_empty() {
            insert_orders(&mut transaction, &to_create).await?;
            insert_lines(&mut transaction, &to_create).await?;
            insert_keys(&mut transaction, &to_create).await?;
            let events = to_create.iter().map(|new| new.event.clone()).collect();
            self.outbox.append(&mut transaction, events).await?;
        }
        transaction.commit().await?;
        Ok(results)
    }
}

/// Decides for each order whether its key lets it be created. A key is held by an advisory lock until the transaction
/// ends: who does not get it at once knows that its twin is in flight, and nothing is left behind if that one dies.
async fn claim_keys(transaction: &mut Transaction, orders: &[NewOrder]) -> sqlx::Result<Vec<Creation>> {
    let keys: Vec<Option<&IdempotencyKey>> = orders
        .iter()
        .map(|new| new.key.as_ref().map(|(key, _)| key))
        .collect();
    let present: Vec<&IdempotencyKey> = keys.iter().flatten().copied().collect();
    if present.is_empty() {
        return Ok(vec![Creation::Created; orders.len()]);
    }
    let locked: Vec<(bool,)> = sqlx::query_as(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(user_id || ' ' || key, 0))
         FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS keys (user_id, key, position) ORDER BY position",
    )
    .bind(present.iter().map(|key| key.user_id).collect::<Vec<_>>())
    .bind(present.iter().map(|key| key.key.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *transaction)
    .await?;
    // After the locks: a twin that has just committed is seen.
    let saved = saved(&mut *transaction, present.iter().copied()).await?;
    let mut locked = locked.into_iter();
    let mut claimed = HashSet::new();
    Ok(keys
        .into_iter()
        .map(|key| {
            let Some(key) = key else { return Creation::Created };
            let has_lock = locked.next().is_some_and(|(locked,)| locked);
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

async fn insert_orders(transaction: &mut Transaction, orders: &[&NewOrder]) -> sqlx::Result<()> {
    let column = || orders.iter().map(|new| &new.order);
    sqlx::query(
        "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
         SELECT id, user_id, status, currency_code, total, created_at, created_at
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
              AS new (id, user_id, status, currency_code, total, created_at)",
    )
    .bind(column().map(|order| order.id).collect::<Vec<_>>())
    .bind(column().map(|order| order.user_id).collect::<Vec<_>>())
    .bind(column().map(|order| order.status.as_str()).collect::<Vec<_>>())
    .bind(column().map(|order| order.currency.as_str()).collect::<Vec<_>>())
    .bind(column().map(|order| order.total).collect::<Vec<_>>())
    .bind(column().map(|order| order.created_at).collect::<Vec<_>>())
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

async fn insert_lines(transaction: &mut Transaction, orders: &[&NewOrder]) -> sqlx::Result<()> {
    let lines = || {
        orders.iter().flat_map(|new| {
            (1_i16..)
                .zip(&new.order.lines)
                .map(|(line_no, line)| (new.order.id, line_no, line))
        })
    };
    sqlx::query(
        "INSERT INTO order_lines (order_id, line_no, product_id, product_name, quantity, unit_price_minor_units)
         SELECT order_id, line_no, product_id, product_name, quantity, unit_price
         FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[])
              AS new (order_id, line_no, product_id, product_name, quantity, unit_price)",
    )
    .bind(lines().map(|(order_id, ..)| order_id).collect::<Vec<_>>())
    .bind(lines().map(|(_, line_no, _)| line_no).collect::<Vec<_>>())
    .bind(lines().map(|(.., line)| line.product_id).collect::<Vec<_>>())
    .bind(lines().map(|(.., line)| line.product_name.as_str()).collect::<Vec<_>>())
    .bind(lines().map(|(.., line)| line.quantity).collect::<Vec<_>>())
    .bind(lines().map(|(.., line)| line.unit_price).collect::<Vec<_>>())
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

async fn insert_keys(transaction: &mut Transaction, orders: &[&NewOrder]) -> sqlx::Result<()> {
    let keys: Vec<&(IdempotencyKey, Vec<u8>)> = orders.iter().filter_map(|new| new.key.as_ref()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO idempotency_keys (user_id, key, request_digest, answer)
         SELECT user_id, key, digest, answer
         FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[]) AS new (user_id, key, digest, answer)",
    )
    .bind(keys.iter().map(|(key, _)| key.user_id).collect::<Vec<_>>())
    .bind(keys.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
    .bind(
        keys.iter()
            .map(|(key, _)| key.digest.as_slice())
            .collect::<Vec<_>>(),
    )
    .bind(
        keys.iter()
            .map(|(_, answer)| answer.as_slice())
            .collect::<Vec<_>>(),
    )
    .execute(&mut *transaction)
    .await?;
    Ok(())
}
