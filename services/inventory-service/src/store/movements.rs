//! The ledger: movements by hand, and reading it.

use chassis::page::{MAX_WINDOW, Page};
use sqlx::Row as _;
use sqlx::{FromRow, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, products::find};
use crate::product::Product;

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

impl MovementKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "initial" => Self::Initial,
            "adjustment" => Self::Adjustment,
            "allocation" => Self::Allocation,
            "release" => Self::Release,
            _ => return None,
        })
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
    pub kind: MovementKind,
    /// Negative where stock left.
    pub delta: i64,
    /// Why, where a person moved it; otherwise empty.
    pub reason: String,
    /// Which order moved it, if one did.
    pub order_id: Option<Uuid>,
    /// When.
    pub created_at: OffsetDateTime,
}

impl FromRow<'_, PgRow> for StockMovement {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let kind: &str = row.try_get("kind")?;
        Ok(Self {
            id: row.try_get("id")?,
            product_id: row.try_get("product_id")?,
            kind: MovementKind::parse(kind)
                .ok_or_else(|| sqlx::Error::Decode(format!("unknown kind of movement: {kind}").into()))?,
            delta: row.try_get("delta")?,
            reason: row.try_get("reason")?,
            order_id: row.try_get("order_id")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl Store {
    /// Moves a product's stock by hand, never below zero.
    pub async fn adjust_stock(
        &self,
        product_id: Uuid,
        delta: i64,
        reason: &str,
    ) -> Result<(Product, StockMovement), StoreError> {
        let mut transaction = self.database.begin().await?;
        let movement = sqlx::query_as(
            "WITH moved AS (
                 UPDATE stock SET available = available + $2
                 FROM products p
                 WHERE product_id = $1 AND available + $2 >= 0 AND p.id = $1 AND p.deleted_at IS NULL
                 RETURNING product_id
             )
             INSERT INTO stock_movements (product_id, kind, delta, reason)
             SELECT product_id, 'adjustment', $2, $3 FROM moved RETURNING *",
        )
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
        transaction.commit().await?;
        Ok((product, movement))
    }

    /// A page of a product's ledger, newest first, and how many rows it has, counted up to [`MAX_WINDOW`].
    pub async fn movements(
        &self,
        product_id: Uuid,
        page: Page,
    ) -> Result<(Vec<StockMovement>, u64), StoreError> {
        find(&self.database, product_id).await?;
        let movements: Vec<StockMovement> = sqlx::query_as(
            "SELECT * FROM stock_movements WHERE product_id = $1 ORDER BY id DESC OFFSET $2 LIMIT $3",
        )
        .bind(product_id)
        .bind(page.offset())
        .bind(page.limit())
        .fetch_all(&self.database)
        .await?;
        let total: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT 1 FROM stock_movements WHERE product_id = $1 LIMIT $2) t",
        )
        .bind(product_id)
        .bind(i64::from(MAX_WINDOW))
        .fetch_one(&self.database)
        .await?;
        Ok((movements, total.unsigned_abs()))
    }
}
