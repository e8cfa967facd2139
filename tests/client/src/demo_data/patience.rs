//! Calls that wait where the shop says so.

use std::time::Duration;

use crate::{Answer, Call};

/// How many times a call is refused before that is what comes of it.
const ATTEMPTS: u32 = 30;
/// The longest pause between two.
const LONGEST_PAUSE: u64 = 30;

/// Makes the call, again after a refusal for having asked too often (429) or for a part of the shop that is away (503). It
/// must be one that does no harm twice.
pub(super) async fn patiently(call: Call) -> anyhow::Result<Answer> {
    let mut attempts = 1;
    loop {
        let answer = call.clone().await?;
        if attempts == ATTEMPTS || !matches!(answer.status().as_u16(), 429 | 503) {
            return Ok(answer);
        }
        let seconds = answer
            .header("retry-after")
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(1);
        tokio::time::sleep(Duration::from_secs(seconds.min(LONGEST_PAUSE))).await;
        attempts += 1;
    }
}
