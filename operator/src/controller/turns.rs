//! Which Shop has its turn next. kube's controller takes any that waits, so under load an unlucky Shop could wait for as
//! long as the load lasts. Here it is first come, first served, and people are served before machines: a Shop with a spec
//! that was not looked at yet does not stand behind those whose pods have come or gone.

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
    all: Semaphore,
    /// For Shops that ask for nothing new: fewer, so that one that does finds a turn free.
    follow_ups: Semaphore,
    asked: Notify,
    /// When which Shop, by its uid, had its last.
    ended: Mutex<HashMap<String, Instant>>,
}

/// A Shop's turn, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    uid: String,
    _permits: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl Turns {
    /// So many at once, at least one. A quarter of them is kept for those that ask for something new.
    pub(super) fn new(at_once: u16) -> Self {
        let at_once = usize::from(at_once.max(1));
        Self {
            all: Semaphore::new(at_once),
            follow_ups: Semaphore::new(at_once - at_once / 4),
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
        if !asks() && self.follow_ups.available_permits() == 0 {
            self.has_rested(uid)?;
        }
        let of_follow_ups = tokio::select! {
            biased;
            () = self.until(asks) => None,
            permit = acquire(&self.follow_ups) => Some(permit?),
        };
        Ok(Turn {
            _permits: (acquire(&self.all).await?, of_follow_ups),
            turns: self,
            uid: uid.to_owned(),
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

    #[tokio::test]
    async fn a_shop_that_asks_does_not_stand_behind_those_that_do_not() {
        let turns = Turns::new(4);
        let follow_ups = ["a", "b", "c"].map(|uid| now(&turns, uid, false));
        assert!(follow_ups.iter().all(Option::is_some));
        assert!(now(&turns, "d", false).is_none());
        let asking = now(&turns, "e", true);
        assert!(asking.is_some());
        assert!(now(&turns, "f", true).is_none());
        drop(follow_ups);
        assert!(now(&turns, "f", true).is_some());
    }

    #[tokio::test]
    async fn who_came_first_is_served_first() {
        let turns = Turns::new(1);
        let running = now(&turns, "a", true);
        let mut second = Box::pin(turns.next("b", || true));
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
        let follow_ups = ["a", "b", "c"].map(|uid| now(&turns, uid, false));
        let mut waiting = Box::pin(turns.next("d", || asks.get()));
        assert!(poll!(&mut waiting).is_pending());
        turns.asked();
        assert!(poll!(&mut waiting).is_pending());
        asks.set(true);
        turns.asked();
        assert!(poll!(&mut waiting).is_ready());
        drop(follow_ups);
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
