//! Password hashing that can't starve anything else. A hash takes a core for some 14 ms and 19 MiB, so a hundred logins
//! a second are a whole machine. They are computed off the async threads, as many at once as there are permits; a
//! bounded number waits; whoever comes then is refused at once, before the database is asked anything.

use std::{
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::password::{Memory, PasswordError};

/// The longest that somebody waits for a turn: well within a call's deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

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
    /// Everybody at work or waiting.
    admission: Arc<Semaphore>,
    /// Everybody at work.
    work: Arc<Semaphore>,
    /// Memory that is not in use: at most as many as may be at work.
    idle: Mutex<Vec<Memory>>,
}

impl Hasher {
    /// With `threads` hashes at once, and `queue` more that may wait.
    pub(crate) fn new(threads: NonZero<u16>, queue: u16) -> Self {
        let threads = usize::from(threads.get());
        Self(Arc::new(Inner {
            admission: Arc::new(Semaphore::new(threads + usize::from(queue))),
            work: Arc::new(Semaphore::new(threads)),
            idle: Mutex::default(),
        }))
    }

    /// A place in the queue, or the refusal.
    pub(crate) fn admit(&self) -> Result<Ticket, HashingError> {
        let place = self.0.admission.clone().try_acquire_owned();
        Ok(Ticket {
            inner: self.0.clone(),
            place: place.map_err(|_| HashingError::Busy)?,
        })
    }
}

/// The right to one piece of work.
pub(crate) struct Ticket {
    inner: Arc<Inner>,
    place: OwnedSemaphorePermit,
}

impl Ticket {
    /// Waits for a turn and does the work on a thread of its own.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Memory) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let Self { inner, place } = self;
        let turn = timeout(LONGEST_WAIT, inner.work.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(HashingError::Busy);
        };
        let done = tokio::task::spawn_blocking(move || {
            let mut memory = inner.take();
            let result = work(&mut memory);
            inner.put_back(memory);
            // Held until the work is done, even if nobody waits for it any more.
            drop((turn, place));
            result
        });
        Ok(done.await.map_err(|_| HashingError::Abandoned)??)
    }
}

impl Inner {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn one_too_many_is_refused_and_the_next_is_not() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 1);
        let (release, released) = mpsc::channel::<()>();
        let at_work = tokio::spawn(hasher.admit().unwrap().run(move |_| {
            released.recv().unwrap();
            Ok(())
        }));
        let waiting = tokio::spawn(hasher.admit().unwrap().run(|_| Ok(())));
        assert!(matches!(hasher.admit(), Err(HashingError::Busy)));
        release.send(()).unwrap();
        at_work.await.unwrap().unwrap();
        waiting.await.unwrap().unwrap();
        hasher.admit().unwrap().run(|_| Ok(())).await.unwrap();
        assert_eq!(hasher.0.idle.lock().unwrap().len(), 1, "one thread, one memory");
    }

    #[tokio::test]
    async fn a_panic_frees_its_place() {
        let hasher = Hasher::new(NonZero::<u16>::MIN, 0);
        let panicked: Result<(), _> = hasher.admit().unwrap().run(|_| panic!("as a test")).await;
        assert!(matches!(panicked, Err(HashingError::Abandoned)));
        hasher.admit().unwrap().run(|_| Ok(())).await.unwrap();
    }
}
