//! How orders come, and how many wait: for a person who watches.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;

/// The orders of so long are counted.
pub const WINDOW: Duration = Duration::from_secs(10);

/// By the primary key, which is by time. `$1`: the least id of the window.
pub const PLACED: &str = "
    SELECT status, count(*) FROM (SELECT status FROM orders WHERE id >= $1 LIMIT 100000) AS placed
    GROUP BY status ORDER BY status";

/// Both by the index by status, from the end of the oldest.
pub const PENDING: &str = "
    SELECT (SELECT count(*) FROM (SELECT FROM orders WHERE status = 'pending' LIMIT 10000) AS counted),
           (SELECT created_at FROM orders WHERE status = 'pending' ORDER BY id LIMIT 1)";

/// What has come, and what waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFlow {
    /// The orders of the last [`WINDOW`] by the status that they have now, exact up to 100,000 in all.
    pub placed: Vec<(String, i64)>,
    /// Those that are not decided, exact up to 10,000.
    pub pending: i64,
    /// When the oldest of these was placed.
    pub oldest_pending_at: Option<OffsetDateTime>,
}

impl Store {
    /// Counts the orders since `first`, the least id of the window, and those that wait.
    pub async fn flow(&self, first: Uuid) -> sqlx::Result<OrderFlow> {
        let placed = sqlx::query_as(PLACED)
            .bind(first)
            .fetch_all(&self.database)
            .await?;
        let (pending, oldest_pending_at) = sqlx::query_as(PENDING).fetch_one(&self.database).await?;
        Ok(OrderFlow {
            placed,
            pending,
            oldest_pending_at,
        })
    }
}
