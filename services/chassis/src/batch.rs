//! Sharing of one costly operation (a transaction, a call) among requests that happen to arrive together.
//!
//! Batching here is *natural*: a request that finds nothing in flight goes at once and alone; requests that arrive
//! while the allowed number of batches is in flight wait for one to end and then go together. Nobody waits for a
//! timer, so a lone request is as fast as without batching, and the busier the system is, the more is shared.

use std::{future::Future, sync::Arc};

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
#[derive(Debug)]
pub struct Batcher<T, R> {
    queue: mpsc::Sender<Item<T, R>>,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
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
        tokio::spawn(dispatch(options, items, Arc::new(handler)));
        Self { queue }
    }

    /// Waits for the item's result. Never waits for room in the queue: a full one is an error at once.
    pub async fn submit(&self, input: T) -> Result<R, BatchError> {
        let (reply, result) = oneshot::channel();
        self.queue
            .try_send(Item { input, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => BatchError::Full,
                mpsc::error::TrySendError::Closed(_) => BatchError::Abandoned,
            })?;
        result.await.map_err(|_| BatchError::Abandoned)
    }
}

async fn dispatch<T, R, F, Fut>(options: BatchOptions, mut items: mpsc::Receiver<Item<T, R>>, handler: Arc<F>)
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<R>> + Send + 'static,
{
    let in_flight = Arc::new(Semaphore::new(options.max_in_flight.max(1)));
    // The permit comes first: while none is free, items gather in the queue and go together.
    while let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await {
        let mut gathered = Vec::new();
        if items.recv_many(&mut gathered, options.max_batch.max(1)).await == 0 {
            return;
        }
        // Whoever is about to submit, and waits only for its turn to run, comes along. On an idle machine that is nobody.
        tokio::task::yield_now().await;
        while gathered.len() < options.max_batch
            && let Ok(item) = items.try_recv()
        {
            gathered.push(item);
        }
        gathered.retain(|item| !item.reply.is_closed());
        if gathered.is_empty() {
            continue;
        }
        let handler = Arc::clone(&handler);
        let work = async move {
            let (inputs, replies): (Vec<T>, Vec<_>) =
                gathered.into_iter().map(|item| (item.input, item.reply)).unzip();
            let expected = inputs.len();
            let results = handler(inputs).await;
            if results.len() != expected {
                tracing::error!(
                    batch = options.name,
                    expected,
                    got = results.len(),
                    "a batch lost results"
                );
                return;
            }
            for (reply, result) in replies.into_iter().zip(results) {
                // A submitter that gave up meanwhile wants no answer.
                drop(reply.send(result));
            }
            drop(permit);
        };
        tokio::spawn(work.instrument(tracing::Span::none()));
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
    };

    #[tokio::test]
    async fn items_that_wait_share_the_next_batch() {
        let gate = Arc::new(Notify::new());
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (opened, seen) = (Arc::clone(&gate), Arc::clone(&sizes));
        let batcher = Batcher::spawn(OPTIONS, move |items: Vec<u32>| {
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
        while batcher.queue.capacity() > OPTIONS.max_queued - 5 {
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
    async fn a_full_queue_refuses_and_a_panic_abandons_only_its_batch() {
        let panics = Arc::new(AtomicBool::new(true));
        let again = Arc::clone(&panics);
        let batcher = Batcher::spawn(OPTIONS, move |items: Vec<u32>| {
            assert!(!again.swap(false, Ordering::SeqCst), "the first batch panics");
            async move { items }
        });
        assert_eq!(batcher.submit(1).await, Err(BatchError::Abandoned));
        let stuck = Batcher::spawn(OPTIONS, |_: Vec<u32>| std::future::pending::<Vec<u32>>());
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
