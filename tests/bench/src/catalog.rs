//! Products to measure with, written straight into inventory-service's database: through the API a million of them
//! would take longer than the measurement.

use anyhow::Context as _;
use sqlx::PgPool;
use uuid::Uuid;

/// Sees to it that there are `count` products with much stock that orders can choose from; returns their ids.
pub(crate) async fn stocked(inventory: &PgPool, count: usize) -> anyhow::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    sqlx::query(include_str!("../sql/stocked_products.sql"))
        .bind(&ids)
        .execute(inventory)
        .await
        .context("writing products")?;
    Ok(ids)
}

/// Sees to it that there are `count` products in all, of many categories and words.
pub(crate) async fn fill(inventory: &PgPool, count: usize) -> anyhow::Result<()> {
    let (there,): (i64,) = sqlx::query_as("SELECT count(*) FROM products")
        .fetch_one(inventory)
        .await?;
    let missing = i64::try_from(count)? - there;
    if missing > 0 {
        println!("writing {missing} products");
        sqlx::query(include_str!("../sql/many_products.sql"))
            .bind(missing)
            .execute(inventory)
            .await?;
        // One by one: several statements at once would be a transaction, in which nothing can be vacuumed.
        for statement in ["VACUUM ANALYZE products", "VACUUM ANALYZE stock"] {
            sqlx::raw_sql(statement).execute(inventory).await?;
        }
    }
    Ok(())
}
