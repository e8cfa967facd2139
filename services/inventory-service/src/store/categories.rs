//! The categories of the catalogue.

use std::sync::Arc;

use chassis::page::MAX_WINDOW;
use proto::limits::CATEGORIES as MAX_CATEGORIES;

use super::{Store, StoreError};

/// Goes from each category to the next along the index, so that it reads no more than it counts: of each category up to $1
/// products, of up to $2 categories. To be planned after [`ALONG_AN_INDEX`].
pub const CATEGORIES: &str = "
    WITH RECURSIVE named (name) AS (
        (SELECT category FROM products WHERE deleted_at IS NULL AND category > '' ORDER BY category LIMIT 1)
        UNION ALL
        SELECT (SELECT category FROM products
                WHERE deleted_at IS NULL AND category > named.name ORDER BY category LIMIT 1)
        FROM named WHERE named.name IS NOT NULL
    )
    SELECT name, (SELECT count(*) FROM (
        SELECT FROM products WHERE deleted_at IS NULL AND category = named.name ORDER BY created_at, id LIMIT $1
    ) AS counted) AS products
    FROM named WHERE name IS NOT NULL LIMIT $2";

/// For the transaction: a plan that looks up whole categories first costs less where they are taken to be small, and one of
/// them may be the catalogue.
pub const ALONG_AN_INDEX: &str =
    "SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)";

/// A category that products are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Not empty.
    pub name: String,
    /// How many, exact up to [`MAX_WINDOW`].
    pub products: i64,
}

chassis::from_row!(Category { name, products });

impl Store {
    /// The first categories by name, as they were some seconds ago at most. It is a list as any other: it waits for its turn,
    /// and whoever waited for somebody else's has it.
    pub async fn categories(&self) -> Result<Arc<Vec<Category>>, StoreError> {
        if let Some(known) = self.categories.get(&()) {
            return Ok(known);
        }
        let _turn = self.turn_to_list().await?;
        if let Some(known) = self.categories.get(&()) {
            return Ok(known);
        }
        let most = i64::try_from(MAX_CATEGORIES).unwrap_or(i64::MAX);
        let mut transaction = self.database.begin().await?;
        sqlx::query(ALONG_AN_INDEX).execute(&mut transaction).await?;
        let categories: Vec<Category> = sqlx::query_as(CATEGORIES)
            .bind(i64::from(MAX_WINDOW))
            .bind(most)
            .fetch_all(&mut transaction)
            .await?;
        transaction.commit().await?;
        let categories = Arc::new(categories);
        self.categories.insert((), Arc::clone(&categories));
        Ok(categories)
    }
}
