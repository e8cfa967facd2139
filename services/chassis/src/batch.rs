//! Sharing of one costly operation (a transaction, a call) among requests that happen to arrive together.
//!
//! Batching here is *natural*: a request that finds nothing in flight goes at once and alone; requests that arrive
//! while the allowed number of batches is in flight wait for one to end and then go together. Nobody waits for a
//! timer, so a lone request is as fast as without batching, and the busier the system is, the more is shared.
//!
//! A batch of several is at work in a task of its own: a submitter that gives up takes nobody along. A lone request has
//! nobody to take along, and may be worked on where it was submitted, without two tasks that have to be woken for it.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::FutureExt as _;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::Instrument as _;

/// The bounds of a [`Batcher`].
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// For log lines.
    pub name: &'static str,
    /// The most items of one batch.
    pub max_batch: usize,
    /// The most items that wait; one more is [`BatchError::Full`].
    pub max_queued: usize,
    /// The most batches at work at once.
    pub max_in_flight: usize,
    /// Whether a lone request is worked on where it was submitted. For handlers that call no other service: such a call would
    /// have the submitter's deadline, and be of its trace. A submitter that gives up ends the work.
    pub alone_in_place: bool,
}

/// Why an item has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Too many items wait already.
    #[error("too many requests are waiting")]
    Full,
    /// The batch that the item was in failed without an answer for it.
    #[error("the batch was abandoned")]
    Abandoned,
}

/// Hands items to batches and results back to whom they belong. Cheap to clone; its task ends with the last clone.
pub struct Batcher<T, R> {
    queue: mpsc::Sender<Item<T, R>>,
    work: Arc<Work<T, R>>,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            work: Arc::clone(&self.work),
        }
    }
}

impl<T, R> fmt::Debug for Batcher<T, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Batcher({})", self.work.options.name)
    }
}

type Handler<T, R> = Box<dyn Fn(Vec<T>) -> Pin<Box<dyn Future<Output = Vec<R>> + Send>> + Send + Sync>;

/// What every batch has in common, wherever it is worked on.
struct Work<T, R> {
    options: BatchOptions,
    handler: Handler<T, R>,
    in_flight: Arc<Semaphore>,
    /// Submitters that have not decided yet whether they are alone.
    arriving: AtomicUsize,
}

impl<T, R> Work<T, R> {
    /// The results of a batch, one for each input.
    async fn results(&self, inputs: Vec<T>) -> Option<Vec<R>> {
        let expected = inputs.len();
        let results = (self.handler)(inputs).await;
        if results.len() == expected {
            return Some(results);
        }
        tracing::error!(
            batch = self.options.name,
            expected,
            got = results.len(),
            "a batch lost results"
        );
        None
    }
}

/// A submitter among those that are about to submit, until it is dropped.
struct Arriving<'w>(&'w AtomicUsize);

impl<'w> Arriving<'w> {
    fn new(all: &'w AtomicUsize) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(all)
    }

    fn is_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Item<T, R> {
    input: T,
    reply: oneshot::Sender<R>,
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Starts batching for `handler`, which answers one result per item, in order. An item whose submitter gave up
    /// before its batch began is left out.
    pub fn spawn<F, Fut>(options: BatchOptions, handler: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<R>> + Send + 'static,
    {
        let (queue, items) = mpsc::channel(options.max_queued.max(1));
        let work = Arc::new(Work {
            options,
            handler: Box::new(move |inputs| Box::pin(handler(inputs))),
            in_flight: Arc::new(Semaphore::new(options.max_in_flight.max(1))),
            arriving: AtomicUsize::new(0),
        });
        tokio::spawn(dispatch(Arc::clone(&work), items));
        Self { queue, work }
    }

    /// Waits for the item's result. Never waits for room in the queue: a full one is an error at once.
    pub async fn submit(&self, input: T) -> Result<R, BatchError> {
        let work = &*self.work;
        if work.options.alone_in_place
            && self.is_alone().await
            && let Ok(_permit) = work.in_flight.try_acquire()
        {
            // As in a task of its own, a panic is an end without an answer and no more.
            let results = AssertUnwindSafe(async { work.results(vec![input]).await }).catch_unwind();
            let results = results.await.ok().flatten();
            return results
                .and_then(|mut results| results.pop())
                .ok_or(BatchError::Abandoned);
        }
        let (reply, result) = oneshot::channel();
        self.queue
            .try_send(Item { input, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => BatchError::Full,
                mpsc::error::TrySendError::Closed(_) => BatchError::Abandoned,
            })?;
        result.await.map_err(|_| BatchError::Abandoned)
    }

    /// Whether nobody waits and nobody is about to submit, having waited only for its turn to run.
    async fn is_alone(&self) -> bool {
        let arriving = Arriving::new(&self.work.arriving);
        tokio::task::yield_now().await;
        arriving.is_alone() && self.queue.capacity() == self.queue.max_capacity()
    }
}

async fn dispatch<T: Send + 'static, R: Send + 'static>(
    work: Arc<Work<T, R>>,
    mut items: mpsc::Receiver<Item<T, R>>,
) {
    let max_batch = work.options.max_batch.max(1);
    // With one in hand, so that an idle dispatcher keeps no permit.
    while let Some(first) = items.recv().await {
        // While none is free, items gather in the queue and go together.
        let Ok(permit) = Arc::clone(&work.in_flight).acquire_owned().await else {
            return;
        };
        // Whoever is about to submit, and waits only for its turn to run, comes along. On an idle machine that is nobody.
        tokio::task::yield_now().await;
        let mut gathered = vec![first];
        while gathered.len() < max_batch
            && let Ok(item) = items.try_recv()
        {
            gathered.push(item);
        }
        gathered.retain(|item| !item.reply.is_closed());
        if gathered.is_empty() {
            continue;
        }
        let work = Arc::clone(&work);
        let batch = async move {
            let (inputs, replies): (Vec<T>, Vec<_>) =
                gathered.into_iter().map(|item| (item.input, item.reply)).unzip();
            if let Some(results) = work.results(inputs).await {
                for (reply, result) in replies.into_iter().zip(results) {
                    // A submitter that gave up meanwhile wants no answer.
                    drop(reply.send(result));
                }
            }
            drop(permit);
        };
        tokio::spawn(batch.instrument(tracing::Span::none()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use tokio::sync::Notify;

    use super::*;

    const OPTIONS: BatchOptions = BatchOptions {
        name: "test",
        max_batch: 8,
        max_queued: 16,
        max_in_flight: 1,
        alone_in_place: false,
    };
    const IN_PLACE: BatchOptions = BatchOptions {
        alone_in_place: true,
        ..OPTIONS
    };

    #[tokio::test]
    async fn items_that_wait_share_the_next_batch() {
        for options in [OPTIONS, IN_PLACE] {
            those_that_wait_go_together(options).await;
        }
    }

    async fn those_that_wait_go_together(options: BatchOptions) {
        let gate = Arc::new(Notify::new());
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (opened, seen) = (Arc::clone(&gate), Arc::clone(&sizes));
        let batcher = Batcher::spawn(options, move |items: Vec<u32>| {
            seen.lock().unwrap().push(items.len());
            let opened = Arc::clone(&opened);
            async move {
                if items == [0] {
                    opened.notified().await;
                }
                items.into_iter().map(|item| item * 10).collect()
            }
        });
        let submit = |item| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(item).await })
        };
        let first = submit(0);
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (1..=5).map(submit).collect();
        // The dispatcher has one of them in hand.
        while batcher.queue.capacity() > OPTIONS.max_queued - 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gate.notify_one();
        assert_eq!(first.await.unwrap(), Ok(0));
        for (item, other) in (1..=5).zip(others) {
            assert_eq!(other.await.unwrap(), Ok(item * 10));
        }
        assert_eq!(*sizes.lock().unwrap(), [1, 5]);
    }

    #[tokio::test]
    async fn a_lone_item_is_worked_on_in_place_and_those_that_come_together_are_not() {
        let places = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&places);
        let batcher = Batcher::spawn(IN_PLACE, move |items: Vec<u32>| {
            seen.lock().unwrap().push((tokio::task::try_id(), items.len()));
            async move { items }
        });
        let submit = |item| {
            let batcher = batcher.clone();
            tokio::spawn(async move { (batcher.submit(item).await, tokio::task::try_id()) })
        };
        let (answer, place) = submit(1).await.unwrap();
        assert_eq!(
            (answer, places.lock().unwrap().clone()),
            (Ok(1), vec![(place, 1)])
        );
        places.lock().unwrap().clear();
        for together in (2..=5).map(submit).collect::<Vec<_>>() {
            let (answer, place) = together.await.unwrap();
            assert!(answer.is_ok() && !places.lock().unwrap().contains(&(place, 1)));
        }
        assert_eq!(
            places.lock().unwrap().iter().map(|(_, size)| size).sum::<usize>(),
            4
        );
        assert_eq!(places.lock().unwrap().len(), 1, "they share a batch");
    }

    #[tokio::test]
    async fn a_lone_item_that_is_given_up_leaves_room_for_the_next() {
        let batcher = Batcher::spawn(IN_PLACE, |items: Vec<u32>| async move {
            if items == [0] {
                std::future::pending::<()>().await;
            }
            items
        });
        let given_up = tokio::time::timeout(Duration::from_millis(20), batcher.submit(0)).await;
        assert!(given_up.is_err());
        assert_eq!(batcher.submit(1).await, Ok(1));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_panic_abandons_only_its_batch() {
        for options in [OPTIONS, IN_PLACE] {
            a_panic_and_a_full_queue(options).await;
        }
    }

    async fn a_panic_and_a_full_queue(options: BatchOptions) {
        let panics = Arc::new(AtomicBool::new(true));
        let again = Arc::clone(&panics);
        let batcher = Batcher::spawn(options, move |items: Vec<u32>| {
            assert!(!again.swap(false, Ordering::SeqCst), "the first batch panics");
            async move { items }
        });
        assert_eq!(batcher.submit(1).await, Err(BatchError::Abandoned));
        assert_eq!(batcher.submit(2).await, Ok(2));
        let stuck = Batcher::spawn(options, |_: Vec<u32>| std::future::pending::<Vec<u32>>());
        let mut waiting = Vec::new();
        let mut refused = 0;
        for item in 0..40 {
            let stuck = stuck.clone();
            waiting.push(tokio::spawn(async move { stuck.submit(item).await }));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        for task in waiting {
            if task.is_finished() {
                assert_eq!(task.await.unwrap(), Err(BatchError::Full));
                refused += 1;
            }
        }
        assert!(refused >= 40 - 2 * OPTIONS.max_queued, "{refused} were refused");
    }
}
