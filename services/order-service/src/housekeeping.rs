//! What is done from time to time: removing old idempotency keys.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(2);
/// So many keys a time that the transaction stays short.
const KEYS_AT_ONCE: i64 = 1_000;

/// Runs until shutdown.
pub async fn run(store: Store, retention: Duration, shutdown: CancellationToken) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        match store.remove_old_keys(retention, KEYS_AT_ONCE).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "old idempotency keys are removed"),
            Err(error) => tracing::warn!(%error, "old idempotency keys can't be removed now"),
        }
    }
}
