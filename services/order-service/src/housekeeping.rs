//! What is done from time to time: removing old idempotency keys.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(2);
/// So many keys a time that the transaction stays short.
const KEYS_AT_ONCE: u32 = 1_000;

/// Removes old keys, batch after batch until none is left, and looks again a little later, until shutdown: the table
/// shrinks however fast keys came.
pub async fn run(store: Store, retention: Duration, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match store.remove_old_keys(retention, KEYS_AT_ONCE).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::debug!(removed, "old idempotency keys are removed");
                if removed >= u64::from(KEYS_AT_ONCE) {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "old idempotency keys can't be removed now"),
        }
        // Cancelled or not, the condition of the loop says how it goes on.
        let _ended = shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await;
    }
}
