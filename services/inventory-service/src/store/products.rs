//! Reading and changing products.

use std::collections::BTreeMap;

use chassis::{
    grpc::Principal,
    idempotency::{IdempotencyKey, table},
    postgres::Transaction,
};
use proto::event::StockChangeKind;
use sqlx::{FromRow, PgExecutor, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Once, Store, StoreError, claim};
use crate::{
    audited, events,
    product::{Change, Details, Expected, Price, Product},
};

/// The columns of a [`Product`] that are in their table: without those that serve searching only.
macro_rules! details {
    () => {
        "id, sku, name, description, price_minor_units, currency_code, category, image_url, version, created_at, \
         updated_at"
    };
}

/// The columns of a [`Product`], of the tables or subqueries `p` and `s`.
macro_rules! columns {
    () => {
        "p.id, p.sku, p.name, p.description, p.price_minor_units, p.currency_code, p.category, p.image_url, p.version, \
         p.created_at, p.updated_at, s.available"
    };
}

impl FromRow<'_, PgRow> for Details {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            sku: row.try_get("sku")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            price: price(row)?,
            category: row.try_get("category")?,
            image_url: row.try_get("image_url")?,
        })
    }
}

impl FromRow<'_, PgRow> for Product {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            details: Details::from_row(row)?,
            stock: row.try_get("available")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// What an order must know of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPrice {
    /// The product.
    pub product_id: Uuid,
    /// What it is called.
    pub name: String,
    /// What one unit costs.
    pub price: Price,
}

impl FromRow<'_, PgRow> for NamedPrice {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            product_id: row.try_get("id")?,
            name: row.try_get("name")?,
            price: price(row)?,
        })
    }
}

fn price(row: &PgRow) -> sqlx::Result<Price> {
    Ok(Price {
        minor_units: row.try_get("price_minor_units")?,
        currency_code: row.try_get("currency_code")?,
    })
}

/// The product, if it is not deleted.
pub(super) async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Product, StoreError> {
    let product = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        // OFFSET is a fence: see `prices`.
        " FROM (SELECT ",
        details!(),
        ", deleted_at FROM products WHERE id = $1 OFFSET 0) AS p JOIN stock s ON s.product_id = p.id
         WHERE p.deleted_at IS NULL"
    ))
    .bind(id)
    .fetch_optional(executor)
    .await?;
    product.ok_or(StoreError::NotFound)
}

impl Store {
    /// Adds a product with its first stock; with a key once, and the `answer` is kept under it.
    pub async fn create_product(
        &self,
        principal: &Principal,
        id: Uuid,
        details: &Details,
        initial_stock: i64,
        key: Option<&IdempotencyKey>,
        answer: impl FnOnce(&Product) -> Vec<u8> + Send,
    ) -> Result<Once<Product>, StoreError> {
        let mut transaction = self.database.begin().await?;
        if let Some(before) = claim(&mut transaction, key).await? {
            return Ok(Once::Before(before));
        }
        let product: Product = sqlx::query_as(concat!(
            "WITH product AS (
                 INSERT INTO products
                     (id, sku, name, description, price_minor_units, currency_code, category, image_url)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
            details!(),
            "), stock AS (
                 INSERT INTO stock (product_id, available) VALUES ($1, $9) RETURNING available
             ), movement AS (
                 INSERT INTO stock_movements (product_id, kind, delta) SELECT $1, 'initial', $9 WHERE $9 > 0
             )
             SELECT ",
            columns!(),
            " FROM product p, stock s"
        ))
        .bind(id)
        .bind(&details.sku)
        .bind(&details.name)
        .bind(&details.description)
        .bind(details.price.minor_units)
        .bind(&details.price.currency_code)
        .bind(&details.category)
        .bind(&details.image_url)
        .bind(initial_stock)
        .fetch_one(&mut transaction)
        .await
        .map_err(StoreError::from_write)?;
        let event = events::product_created(&product)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        let record = audited::product_created(&product);
        audit::append(&mut transaction, principal, &[record]).await?;
        if initial_stock > 0 {
            let change = BTreeMap::from([(id, initial_stock)]);
            self.append_stock_changed(&mut transaction, StockChangeKind::Initial, &change)
                .await?;
        }
        if let Some(key) = key {
            table::keep(&mut transaction, key, &answer(&product)).await?;
        }
        transaction.commit().await?;
        Ok(Once::Done(product))
    }

    /// The names and prices of those products that are known and not deleted, in no particular order. Their stock is
    /// not touched: its rows change with every order, and each read would walk over the versions that they leave behind.
    pub async fn prices(&self, ids: &[Uuid]) -> sqlx::Result<Vec<NamedPrice>> {
        sqlx::query_as(
            // OFFSET is a fence: it keeps the planner from reading one of the indexes of all products that are not deleted.
            "SELECT id, name, price_minor_units, currency_code
             FROM (SELECT id, name, price_minor_units, currency_code, deleted_at
                   FROM products WHERE id = ANY($1) OFFSET 0) AS found
             WHERE deleted_at IS NULL",
        )
        .bind(ids)
        .fetch_all(&self.database)
        .await
    }

    /// Those of the products that are known and not deleted, in no particular order.
    pub async fn products(&self, ids: &[Uuid]) -> Result<Vec<Product>, StoreError> {
        let products = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM (SELECT ",
            details!(),
            ", deleted_at FROM products WHERE id = ANY($1) OFFSET 0) AS p JOIN stock s ON s.product_id = p.id
             WHERE p.deleted_at IS NULL"
        ))
        .bind(ids)
        .fetch_all(&self.database)
        .await?;
        Ok(products)
    }

    /// Changes some details, if the product is as expected. A change of nothing leaves the version alone.
    pub async fn update_product(
        &self,
        principal: &Principal,
        id: Uuid,
        expected: &Expected,
        change: &Change,
    ) -> Result<Product, StoreError> {
        if change.is_empty() {
            let product = find(&self.database, id).await?;
            return if expected.is_met_by(&product) {
                Ok(product)
            } else {
                Err(StoreError::VersionMismatch {
                    current: product.version,
                })
            };
        }
        let mut transaction = self.begin_change(id).await?;
        let before = lock_details(&mut transaction, id).await?;
        let changed: Option<Product> = sqlx::query_as(concat!(
            "WITH product AS (
                 UPDATE products SET
                     sku = COALESCE($3, sku),
                     name = COALESCE($4, name),
                     description = COALESCE($5, description),
                     price_minor_units = COALESCE($6, price_minor_units),
                     currency_code = COALESCE($7, currency_code),
                     category = COALESCE($8, category),
                     image_url = COALESCE($9, image_url),
                     version = version + 1,
                     updated_at = now()
                 WHERE id = $1 AND deleted_at IS NULL AND version = COALESCE($2, version)
                     AND currency_code = COALESCE($10, currency_code)
                     AND price_minor_units = COALESCE($11, price_minor_units)
                 RETURNING ",
            details!(),
            ")
             SELECT ",
            columns!(),
            " FROM product p JOIN stock s ON s.product_id = p.id"
        ))
        .bind(id)
        .bind(expected.version)
        .bind(&change.sku)
        .bind(&change.name)
        .bind(&change.description)
        .bind(change.price.as_ref().map(|price| price.minor_units))
        .bind(change.price.as_ref().map(|price| &price.currency_code))
        .bind(&change.category)
        .bind(&change.image_url)
        .bind(&expected.currency_code)
        .bind(expected.minor_units)
        .fetch_optional(&mut transaction)
        .await
        .map_err(StoreError::from_write)?;
        let (Some(product), Some(before)) = (changed, before) else {
            return Err(why_unchanged(&mut transaction, id).await);
        };
        let event = events::product_updated(&product)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        let record = audited::product_updated(&product, &before);
        audit::append(&mut transaction, principal, &[record]).await?;
        transaction.commit().await?;
        Ok(product)
    }

    /// Takes a product off sale for good. Its row and its stock stay: orders refer to them.
    pub async fn delete_product(
        &self,
        principal: &Principal,
        id: Uuid,
        expected_version: Option<i64>,
    ) -> Result<Product, StoreError> {
        let mut transaction = self.begin_change(id).await?;
        let deleted: Option<Product> = sqlx::query_as(concat!(
            "WITH product AS (
                 UPDATE products SET deleted_at = now()
                 WHERE id = $1 AND deleted_at IS NULL AND version = COALESCE($2, version) RETURNING ",
            details!(),
            ")
             SELECT ",
            columns!(),
            " FROM product p JOIN stock s ON s.product_id = p.id"
        ))
        .bind(id)
        .bind(expected_version)
        .fetch_optional(&mut transaction)
        .await?;
        let Some(product) = deleted else {
            return Err(why_unchanged(&mut transaction, id).await);
        };
        let event = events::product_deleted(&product)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        let record = audited::product_deleted(&product);
        audit::append(&mut transaction, principal, &[record]).await?;
        transaction.commit().await?;
        Ok(product)
    }

    /// Begins a change of a product's details. Where changes of its stock are events too, the two wait for each other: the
    /// events of one subject are in order only where one change of it comes after the other.
    async fn begin_change(&self, id: Uuid) -> sqlx::Result<Transaction> {
        let mut transaction = self.database.begin().await?;
        if self.emits_stock_changed {
            sqlx::query("SELECT FROM stock WHERE product_id = $1 FOR NO KEY UPDATE")
                .bind(id)
                .execute(&mut transaction)
                .await?;
        }
        Ok(transaction)
    }
}

/// Locks a product until the transaction ends, and gives its details as they are; none where it is unknown or deleted.
async fn lock_details(transaction: &mut Transaction, id: Uuid) -> sqlx::Result<Option<Details>> {
    sqlx::query_as(concat!(
        "SELECT ",
        details!(),
        " FROM products WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"
    ))
    .bind(id)
    .fetch_optional(transaction)
    .await
}

/// Why an update of what was expected found no row.
async fn why_unchanged(transaction: &mut Transaction, id: Uuid) -> StoreError {
    match find(transaction, id).await {
        Ok(product) => StoreError::VersionMismatch {
            current: product.version,
        },
        Err(error) => error,
    }
}
