//! Password hashing that can't starve anything else, and is shared out fairly. A hash takes a core for some 14 ms and
//! 19 MiB, so a hundred logins a second are a whole machine. They are computed off the async threads, as many at once as
//! there are threads for it; a bounded number waits; whoever comes then is refused at once.
//!
//! Whoever hammers starves himself alone. Each address (or where there is none, each account) has a line of its own, and
//! the lines take turns. No account has more than [`PER_ACCOUNT`] places at once, and no address more than half of all.
//! Where there is no room, the newest of the longest line goes for whoever has a shorter one. A place is taken before the
//! database is asked anything.

mod lines;

use std::{
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

pub(crate) use self::lines::Party;
use self::lines::{State, leave, taken};

use crate::{
    backoff::Lane,
    password::{Memory, PasswordError},
};

/// The longest that somebody waits for a turn: well within a call's deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// The most hashes at work or waiting for one account: less than what may fail before the next has to wait, so that
/// logging in many times at once is not taken for guessing.
const PER_ACCOUNT: usize = 8;

/// Why nothing was hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    /// Too many wait already, or it took too long.
    #[error("too many passwords are being checked; try again soon")]
    Busy,
    /// The hashing itself failed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The thread panicked.
    #[error("password hashing was abandoned")]
    Abandoned,
}

/// Hashes passwords within bounds. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hasher(Arc<Inner>);

struct Inner {
    threads: usize,
    queue: usize,
    state: Mutex<State>,
    /// Memory that is not in use: at most as many as may be at work.
    idle: Mutex<Vec<Memory>>,
}

/// A share of what there is: the right to wait for one piece of work.
pub(crate) struct Place {
    inner: Arc<Inner>,
    party: Party,
}

/// The right to work now. The next has his turn when it is dropped.
struct Turn(Arc<Inner>);

impl Hasher {
    /// With `threads` hashes at once, and `queue` more that may wait.
    pub(crate) fn new(threads: NonZero<u16>, queue: u16) -> Self {
        Self(Arc::new(Inner {
            threads: threads.get().into(),
            queue: queue.into(),
            state: Mutex::default(),
            idle: Mutex::default(),
        }))
    }

    /// A place for that party, or the refusal.
    pub(crate) fn admit(&self, party: Party) -> Result<Place, HashingError> {
        let mut state = self.0.lock();
        let has_room = state.at_work < self.0.threads
            || state.waiting < self.0.queue
            || state.longest_line_beside(party).is_some();
        let of_address = party.address.map(|address| taken(&state.of_address, &address));
        let per_address = (self.0.threads + self.0.queue).div_ceil(2);
        if !has_room || of_address.is_some_and(|taken| taken >= per_address) {
            return Err(HashingError::Busy);
        }
        if let Some(address) = party.address {
            *state.of_address.entry(address).or_default() += 1;
        }
        drop(state);
        Ok(Place {
            inner: self.0.clone(),
            party,
        })
    }
}

impl Place {
    /// The same for an account, now that it is known for which, or the refusal.
    pub(crate) fn of(mut self, account: Lane) -> Result<Self, HashingError> {
        let inner = self.inner.clone();
        let mut state = inner.lock();
        if taken(&state.of_account, &account) >= PER_ACCOUNT {
            // Whoever drops the place takes the lock.
            drop(state);
            return Err(HashingError::Busy);
        }
        *state.of_account.entry(account).or_default() += 1;
        self.party.account = Some(account);
        drop(state);
        Ok(self)
    }

    /// Waits for a turn and does the work on a thread of its own.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Memory) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let turn = self.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            let mut memory = self.inner.take();
            let result = work(&mut memory);
            self.inner.put_back(memory);
            // Held until the work is done, even if nobody waits for it any more.
            drop((turn, self));
            result
        });
        Ok(done.await.map_err(|_| HashingError::Abandoned)??)
    }

    async fn turn(&self) -> Result<Turn, HashingError> {
        let waiting = {
            let mut state = self.inner.lock();
            if state.at_work < self.inner.threads {
                state.at_work += 1;
                return Ok(Turn(self.inner.clone()));
            }
            if state.waiting >= self.inner.queue {
                let longest = state.longest_line_beside(self.party);
                let longest = longest.ok_or(HashingError::Busy)?;
                state.turn_away_newest(longest);
            }
            state.join(self.party)
        };
        // Whoever is turned away for another hears it by the end of the channel.
        match timeout(LONGEST_WAIT, waiting).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(HashingError::Busy),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Memory {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    fn put_back(&self, memory: Memory) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(memory);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        leave(&mut state.of_account, self.party.account);
        leave(&mut state.of_address, self.party.address);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.next_waiter();
            if next.is_none() {
                state.at_work -= 1;
            }
            next
        };
        if let Some(next) = next {
            // Where nobody waits for it any more it is dropped here, and the next has his turn.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use tokio::task::JoinHandle;

    use super::*;

    /// Work that lasts until it is released.
    async fn occupy(hasher: &Hasher) -> (JoinHandle<Result<(), HashingError>>, mpsc::Sender<()>) {
        let (release, released) = mpsc::channel::<()>();
        let place = hasher.admit(Party::default()).unwrap();
        let at_work = tokio::spawn(place.run(move |_| {
            released.recv().unwrap();
            Ok(())
        }));
        while hasher.0.lock().at_work == 0 {
            tokio::task::yield_now().await;
        }
        (at_work, release)
    }

    /// Joins the line, and says its name when it has its turn.
    async fn waits(
        hasher: &Hasher,
        place: Place,
        name: usize,
        turns: &mpsc::Sender<usize>,
    ) -> JoinHandle<Result<(), HashingError>> {
        let turns = turns.clone();
        let waiter = tokio::spawn(place.run(move |_| {
            turns.send(name).unwrap();
            Ok(())
        }));
        // The task runs up to where it waits.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(hasher.0.lock().waiting > 0);
        waiter
    }

    async fn runs(hasher: &Hasher) -> Result<(), HashingError> {
        hasher.admit(Party::default())?.run(|_| Ok(())).await
    }

    fn account(number: u32) -> Lane {
        Lane::of_email(&number.to_string())
    }

    #[tokio::test]
    async fn one_too_many_is_refused_and_the_next_is_not() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 1);
        let (turns, _) = mpsc::channel();
        let (first, release) = occupy(&hasher).await;
        let place = hasher.admit(Party::default()).unwrap();
        let waiting = waits(&hasher, place, 1, &turns).await;
        assert!(matches!(runs(&hasher).await, Err(HashingError::Busy)));
        waiting.abort();
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        runs(&hasher).await.unwrap();
        assert_eq!(hasher.0.idle.lock().unwrap().len(), 1, "one thread, one memory");
        let state = hasher.0.lock();
        assert_eq!(
            (state.at_work, state.waiting),
            (0, 0),
            "who has left holds no place"
        );
    }

    #[tokio::test]
    async fn a_panic_frees_its_place() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 0);
        let place = hasher.admit(Party::at("192.0.2.1")).unwrap();
        let panicked: Result<(), _> = place.of(account(1)).unwrap().run(|_| panic!("as a test")).await;
        assert!(matches!(panicked, Err(HashingError::Abandoned)));
        runs(&hasher).await.unwrap();
        let state = hasher.0.lock();
        assert!(state.of_account.is_empty() && state.of_address.is_empty());
    }

    #[tokio::test]
    async fn the_lines_take_turns() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 64);
        let (said, turns) = mpsc::channel();
        let (first, release) = occupy(&hasher).await;
        let mut waiting = Vec::new();
        for number in 0..8 {
            let hammering = hasher.admit(Party::at("192.0.2.1")).unwrap();
            let hammering = hammering.of(account(number)).unwrap();
            waiting.push(waits(&hasher, hammering, 1, &said).await);
        }
        for (address, name) in [("192.0.2.2", 2), ("2001:db8::1", 3)] {
            let place = hasher.admit(Party::at(address)).unwrap();
            waiting.push(waits(&hasher, place, name, &said).await);
        }
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        for waiter in waiting {
            waiter.await.unwrap().unwrap();
        }
        let order: Vec<_> = turns.try_iter().collect();
        assert_eq!(order, [1, 2, 3, 1, 1, 1, 1, 1, 1, 1], "eight before them are one");
    }

    #[tokio::test]
    async fn neither_an_account_nor_an_address_has_all_places() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 31);
        let admit = |address: &str| hasher.admit(Party::at(address));
        // One account, from ever other addresses.
        let of_account: Vec<_> = (0..PER_ACCOUNT)
            .map(|last| admit(&format!("192.0.2.{last}")).unwrap().of(account(1)).unwrap())
            .collect();
        let one_more = admit("192.0.2.99").unwrap().of(account(1));
        assert!(matches!(one_more, Err(HashingError::Busy)));
        admit("192.0.2.99").unwrap().of(account(2)).unwrap();
        // One network of IPv6.
        let of_address: Vec<_> = (0..16)
            .map(|last| admit(&format!("2001:db8::{last:x}")).unwrap())
            .collect();
        assert!(matches!(admit("2001:db8::ffff"), Err(HashingError::Busy)));
        admit("2001:db8:0:1::1").unwrap();
        drop((of_account, of_address));
        admit("2001:db8::ffff").unwrap().of(account(1)).unwrap();
        let state = hasher.0.lock();
        assert!(state.of_account.is_empty() && state.of_address.is_empty());
    }

    #[tokio::test]
    async fn where_all_is_taken_the_longest_line_gives_a_place() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 4);
        let (said, turns) = mpsc::channel();
        let (first, release) = occupy(&hasher).await;
        let admit = |address: &str| hasher.admit(Party::at(address));
        let mut hammering = Vec::new();
        for (address, name) in [
            ("192.0.2.1", 1),
            ("192.0.2.1", 2),
            ("192.0.2.1", 3),
            ("192.0.2.2", 4),
        ] {
            hammering.push(waits(&hasher, admit(address).unwrap(), name, &said).await);
        }
        let newcomer = waits(&hasher, admit("192.0.2.3").unwrap(), 5, &said).await;
        let turned_away = hammering.remove(2).await.unwrap();
        assert!(
            matches!(turned_away, Err(HashingError::Busy)),
            "the newest of three"
        );
        assert!(admit("192.0.2.1").is_err(), "its line is as long as any");
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        for waiter in hammering.into_iter().chain([newcomer]) {
            waiter.await.unwrap().unwrap();
        }
        let order: Vec<_> = turns.try_iter().collect();
        assert_eq!(order, [1, 4, 5, 2]);
    }
}
