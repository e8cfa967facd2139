//! Which Shop has its turn next. kube's controller takes any that waits, so under load an unlucky Shop could wait for as
//! long as the load lasts. Here it is first come, first served, with some turns kept for Shops whose spec was not looked at
//! yet, and some for those that are on their way: neither a person who changes a Shop stands behind a thousand whose pods
//! come and go, nor these behind a thousand new ones.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// How soon after its turn a Shop has another, if all turns are taken and it asks for nothing new. What changes meanwhile
/// makes one turn.
const BREATH: Duration = Duration::from_secs(2);

/// Gives turns, so many at once.
pub(super) struct Turns {
    /// For whoever came first.
    any: Semaphore,
    /// For Shops that ask for something new.
    asking: Semaphore,
    /// For the others.
    on_their_way: Semaphore,
    asked: Notify,
    /// When which Shop, by its uid, had its last.
    ended: Mutex<HashMap<String, Instant>>,
}

/// A Shop's turn, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    uid: String,
    _permit: SemaphorePermit<'a>,
}

impl Turns {
    /// So many at once, at least one. A quarter of them is kept for each kind of Shop.
    pub(super) fn new(at_once: u16) -> Self {
        let at_once = usize::from(at_once.max(1));
        let kept = at_once / 4;
        Self {
            any: Semaphore::new(at_once - 2 * kept),
            asking: Semaphore::new(kept),
            on_their_way: Semaphore::new(kept),
            asked: Notify::new(),
            ended: Mutex::default(),
        }
    }

    /// Waits for a Shop's turn. `asks` says whether it has a spec that was not looked at yet.
    ///
    /// # Errors
    ///
    /// How long it has to wait before it asks again: it has had a turn just now, and others wait for theirs.
    pub(super) async fn next(&self, uid: &str, asks: impl Fn() -> bool) -> Result<Turn<'_>, Duration> {
        let nothing_free = || self.any.available_permits() + self.on_their_way.available_permits() == 0;
        if !asks() && nothing_free() {
            self.has_rested(uid)?;
        }
        let permit = tokio::select! {
            biased;
            permit = async {
                self.until(&asks).await;
                acquire(&self.asking).await
            } => permit,
            permit = acquire(&self.on_their_way), if !asks() => permit,
            permit = acquire(&self.any) => permit,
        };
        Ok(Turn {
            turns: self,
            uid: uid.to_owned(),
            _permit: permit?,
        })
    }

    /// Some Shop has a new spec: one that waits already, maybe.
    pub(super) fn asked(&self) {
        self.asked.notify_waiters();
    }

    async fn until(&self, asks: impl Fn() -> bool) {
        loop {
            let next = self.asked.notified();
            if asks() {
                return;
            }
            next.await;
        }
    }

    fn has_rested(&self, uid: &str) -> Result<(), Duration> {
        let ended = self.ended().get(uid).copied();
        let rest = ended.map_or(Duration::ZERO, |ended| BREATH.saturating_sub(ended.elapsed()));
        if rest.is_zero() { Ok(()) } else { Err(rest) }
    }

    /// Forgets Shops that are gone.
    pub(super) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.ended().retain(|uid, _| is_there(uid));
    }

    fn ended(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody closes these semaphores; if somebody did, Shops would ask again and again.
async fn acquire(semaphore: &Semaphore) -> Result<SemaphorePermit<'_>, Duration> {
    semaphore.acquire().await.map_err(|_| BREATH)
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let uid = std::mem::take(&mut self.uid);
        self.turns.ended().insert(uid, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::{FutureExt as _, poll};

    use super::*;

    fn now<'a>(turns: &'a Turns, uid: &str, asks: bool) -> Option<Turn<'a>> {
        turns.next(uid, || asks).now_or_never().and_then(Result::ok)
    }

    #[test]
    fn a_quarter_is_kept_for_each() {
        let turns = Turns::new(8);
        let on_their_way = ["a", "b", "c", "d", "e", "f", "g"].map(|uid| now(&turns, uid, false));
        assert_eq!(on_their_way.iter().flatten().count(), 6);
        let asking = ["h", "i", "j"].map(|uid| now(&turns, uid, true));
        assert_eq!(asking.iter().flatten().count(), 2);
        drop((on_their_way, asking));
        let asking = ["a", "b", "c", "d", "e", "f", "g"].map(|uid| now(&turns, uid, true));
        assert_eq!(asking.iter().flatten().count(), 6);
        assert!(now(&turns, "h", false).is_some());
    }

    #[test]
    fn one_turn_is_for_everybody() {
        let turns = Turns::new(1);
        assert!(now(&turns, "a", true).is_some() && now(&turns, "a", false).is_some());
    }

    #[tokio::test]
    async fn who_came_first_is_served_first() {
        let turns = Turns::new(1);
        let running = now(&turns, "a", true);
        let mut second = Box::pin(turns.next("b", || false));
        let mut third = Box::pin(turns.next("c", || true));
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop(running);
        assert!(poll!(&mut third).is_pending());
        drop(second.await);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn one_that_waits_and_asks_by_now_is_let_through() {
        let turns = Turns::new(4);
        let asks = Cell::new(false);
        let on_their_way = ["a", "b", "c"].map(|uid| now(&turns, uid, false));
        let mut waiting = Box::pin(turns.next("d", || asks.get()));
        assert!(poll!(&mut waiting).is_pending());
        turns.asked();
        assert!(poll!(&mut waiting).is_pending());
        asks.set(true);
        turns.asked();
        assert!(poll!(&mut waiting).is_ready());
        drop(on_their_way);
    }

    #[tokio::test]
    async fn one_that_had_a_turn_just_now_lets_others_go_first() {
        let turns = Turns::new(1);
        drop(now(&turns, "a", false));
        // Nobody else waits.
        drop(now(&turns, "a", false).unwrap());
        let other = now(&turns, "b", false);
        assert!(turns.next("a", || false).await.is_err_and(|rest| rest <= BREATH));
        drop(other);
        turns.forget(|uid| uid != "a");
        let other = now(&turns, "b", false);
        // It is as if it had never had one: it waits in line.
        assert!(turns.next("a", || false).now_or_never().is_none());
        drop(other);
    }
}
