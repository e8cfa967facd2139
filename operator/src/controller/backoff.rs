//! How long to wait before a Shop that failed is tried again: longer each time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// How often each Shop has failed since it last did not, by uid.
#[derive(Default)]
pub(super) struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// A Shop failed: how long to wait. Between half of the time and all of it, so that many Shops which fail for one
    /// reason do not all come back at once.
    pub(super) fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(uid.to_owned()).or_default();
        let whole = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// A Shop did not fail.
    pub(super) fn succeeded(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Forgets Shops that are gone.
    pub(super) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| is_there(uid));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_never_too_long() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.failed("shop")).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2, "{waits:?}");
        assert!(waits[3] >= FIRST * 4, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST), "{waits:?}");
        backoff.succeeded("shop");
        assert!(backoff.failed("shop") <= FIRST);
    }
}
