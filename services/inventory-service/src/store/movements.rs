//! The ledger: movements by hand, and reading it.

use std::collections::BTreeMap;

use chassis::{
    grpc::Principal,
    idempotency::{IdempotencyKey, table},
    open_enum::{Open, Spelled},
    page::{Entries, Keyset, MAX_WINDOW},
};
use proto::event::StockChangeKind;
use sqlx::Row as _;
use sqlx::{FromRow, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Once, Store, StoreError, claim, products::find};
use crate::{audited, product::Product};

/// What moved stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    /// The product was created with it.
    Initial,
    /// An admin's hand.
    Adjustment,
    /// An order took it.
    Allocation,
    /// An order gave it back.
    Release,
}

impl Spelled for MovementKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "initial" => Self::Initial,
            "adjustment" => Self::Adjustment,
            "allocation" => Self::Allocation,
            "release" => Self::Release,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment => "adjustment",
            Self::Allocation => "allocation",
            Self::Release => "release",
        }
    }
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockMovement {
    /// Grows with time.
    pub id: i64,
    /// Whose stock moved.
    pub product_id: Uuid,
    /// What moved it.
    pub kind: Open<MovementKind>,
    /// Negative where stock left.
    pub delta: i64,
    /// Why, where a person moved it; otherwise empty.
    pub reason: String,
    /// Which order moved it, if one did.
    pub order_id: Option<Uuid>,
    /// When.
    pub created_at: OffsetDateTime,
}

/// The columns of a [`StockMovement`].
macro_rules! columns {
    () => {
        "id, product_id, kind, delta, reason, order_id, created_at"
    };
}

impl FromRow<'_, PgRow> for StockMovement {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            product_id: row.try_get("product_id")?,
            kind: Open::parse(row.try_get("kind")?),
            delta: row.try_get("delta")?,
            reason: row.try_get("reason")?,
            order_id: row.try_get("order_id")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl Store {
    /// Moves a product's stock by hand, never below zero; with a key once, and the `answer` is kept under it.
    pub async fn adjust_stock(
        &self,
        principal: &Principal,
        product_id: Uuid,
        delta: i64,
        reason: &str,
        key: Option<&IdempotencyKey>,
        answer: impl FnOnce(&Product, &StockMovement) -> Vec<u8> + Send,
    ) -> Result<Once<(Product, StockMovement)>, StoreError> {
        let mut transaction = self.database.begin().await?;
        if let Some(before) = claim(&mut transaction, key).await? {
            return Ok(Once::Before(before));
        }
        let movement: Option<StockMovement> = sqlx::query_as(concat!(
            "WITH moved AS (
                 UPDATE stock SET available = available + $2
                 FROM products p
                 WHERE product_id = $1 AND available + $2 >= 0 AND p.id = $1 AND p.deleted_at IS NULL
                 RETURNING product_id
             )
             INSERT INTO stock_movements (product_id, kind, delta, reason)
             SELECT product_id, 'adjustment', $2, $3 FROM moved RETURNING ",
            columns!(),
        ))
        .bind(product_id)
        .bind(delta)
        .bind(reason)
        .fetch_optional(&mut transaction)
        .await?;
        let product = find(&mut transaction, product_id).await?;
        let Some(movement) = movement else {
            return Err(StoreError::InsufficientStock {
                available: product.stock,
            });
        };
        let change = BTreeMap::from([(product_id, delta)]);
        self.append_stock_changed(&mut transaction, StockChangeKind::Adjustment, &change)
            .await?;
        let record = audited::stock_adjusted(product_id, delta, product.stock, reason);
        audit::append(&mut transaction, principal, &[record]).await?;
        if let Some(key) = key {
            table::keep(&mut transaction, key, &answer(&product, &movement)).await?;
        }
        transaction.commit().await?;
        Ok(Once::Done((product, movement)))
    }

    /// A page of a product's ledger, newest first, and how many rows it has, counted up to [`MAX_WINDOW`].
    pub async fn movements(
        &self,
        product_id: Uuid,
        page: &Keyset<i64>,
    ) -> Result<(Entries<StockMovement>, u64), StoreError> {
        let _turn = self.turn_to_list().await?;
        find(&self.database, product_id).await?;
        let movements: Vec<StockMovement> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM stock_movements WHERE product_id = $1 AND id < COALESCE($4, 9223372036854775807)
             ORDER BY id DESC OFFSET $2 LIMIT $3",
        ))
        .bind(product_id)
        .bind(page.offset())
        .bind(page.limit())
        .bind(page.after())
        .fetch_all(&self.database)
        .await?;
        let total: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT 1 FROM stock_movements WHERE product_id = $1 LIMIT $2) t",
        )
        .bind(product_id)
        .bind(i64::from(MAX_WINDOW))
        .fetch_one(&self.database)
        .await?;
        let movements = page.entries(movements, |movement| movement.id);
        Ok((movements, total.unsigned_abs()))
    }
}
