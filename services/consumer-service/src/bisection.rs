//! Asking a back end for many at once, so that one item takes no other with it.
//!
//! A call that fails may fail because the back end is not well, and then every item is as good as any: the batch is held
//! and asked for again. Or it fails because of one item, and then asking again changes nothing: it is halved until the
//! item at fault stands alone, and that one is given up. **A status doesn't tell which it is.** A message may be too
//! large for a limit on the way, take longer than there is, or trigger a bug, and be told as UNKNOWN,
//! `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED` or a lost connection. So it is found out by a **control**: what was answered
//! last is asked again, which changes nothing since every call here may be repeated. If it is answered again, the back
//! end works, and the failure is the items'. Where nothing has been answered since the start, the back end's own health
//! stands in.
//!
//! | the failure | and the control | several items | one item |
//! |---|---|---|---|
//! | `INVALID_ARGUMENT` and its like (`is_refusal`) | is not needed | halved at once | given up at once |
//! | `DEADLINE_EXCEEDED` | is answered | halved at once | given up after [`Limits::suspicion`] |
//! | any other | is answered | halved after `FAILURES_TOGETHER` | given up after [`Limits::suspicion`] |
//! | any other | there is none; the back end says that it is well | the same | given up after [`Limits::patience`], one in that time |
//! | any other | fails too, or the back end says that it is not well | held until it is | held until it is |
//! | any other | is now answered and now not: a replica is unwell | asked again | asked again |
//! | any other, `RELAPSES` times just when the back end was back | fails too, for a while | halved | given up |
//!
//! The last row is for an item that takes the back end down with it. With the pauses and the deadlines, an item that
//! fails alone is found among a thousand and given up within 30 seconds, however it fails, and so are several at once,
//! since the halves are asked side by side.

use std::{
    future::Future,
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chassis::{
    bisect::{Verdict, bisect},
    grpc::DEFAULT_DEADLINE,
    telemetry::trace,
};
use proto::trace::TraceContext;
use rand::RngExt as _;
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use crate::processing::Item;

/// So often may several items fail together, while the back end works, before they are halved. A deadline that passes
/// counts for all of that: it has taken its time already.
const FAILURES_TOGETHER: u32 = 2;
/// So often at least must an item fail alone, while the back end works, before it is given up.
const FAILURES_ALONE: u32 = 4;
/// So often may a group fail just when the back end has come back.
const RELAPSES: u32 = 12;
/// So often, at random, is the control asked. With replicas that take turns, one of which is unwell, a fixed number would
/// let the same one meet the item each time, and never the control.
const CONTROLS: RangeInclusive<u32> = 1..=4;
/// The most calls at once, once a batch was halved.
const PARALLEL: usize = 16;

/// One answer per item: what the back end said, or why it never will.
pub type Answers<R> = Vec<Result<R, String>>;

/// A request that carries the trace of what it is about.
pub trait Traced: Clone {
    /// Its trace.
    fn trace(&self) -> Option<&TraceContext>;
    /// The same without it, for a call that is no part of that story.
    #[must_use]
    fn untraced(self) -> Self;
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Between attempts: the first pause, and what they grow to.
    pub pauses: RangeInclusive<Duration>,
    /// The deadline of a whole batch's call.
    pub whole: Duration,
    /// The deadline of the calls that follow a failure, which come one after the other.
    pub part: Duration,
    /// So long must an item fail alone, while others are answered, before it is given up. Longer than what passes by
    /// itself, such as a product that many buy at once.
    pub suspicion: Duration,
    /// The same where nothing was ever answered, and there is only the back end's word that it is well.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pauses: Duration::from_millis(50)..=Duration::from_secs(2),
            whole: DEFAULT_DEADLINE,
            part: Duration::from_millis(1500),
            suspicion: Duration::from_secs(4),
            patience: Duration::from_secs(15),
        }
    }
}

/// The request that was answered last.
#[derive(Debug)]
pub struct Control<T>(Mutex<Option<T>>);

impl<T> Default for Control<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Traced> Control<T> {
    fn keep(&self, answered: &T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered.clone().untraced());
    }

    fn get(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A call, and all that is needed to judge its failures.
pub struct Question<'a, T, C, H> {
    /// What is done, for logs and spans: "allocate stock".
    pub what: &'static str,
    /// How long things may take.
    pub limits: &'a Limits,
    /// What was answered last.
    pub control: &'a Control<T>,
    /// Makes the call for these requests within this time. It may be repeated, with any of them.
    pub call: C,
    /// Whether the back end says that it is well.
    pub is_well: H,
}

/// What is known of the back end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BackEnd {
    /// The control was answered.
    Works,
    /// It says itself that it is well.
    SaysSo,
    /// Some of it works.
    Wavers,
    /// It does not work, or says so.
    IsAway,
}

impl<T, R, C, H, CF, HF> Question<'_, T, C, H>
where
    T: Traced,
    C: Fn(Vec<T>, Duration) -> CF,
    CF: Future<Output = Result<Vec<R>, Status>>,
    H: Fn() -> HF,
    HF: Future<Output = bool>,
{
    /// Asks until every item has its answer, however long the back end is not well.
    pub async fn ask(&self, items: &[Item<T>]) -> Answers<R> {
        let unproven = Unproven::default();
        bisect(items.len(), PARALLEL, |group| {
            let is_whole = group.len() == items.len();
            self.settle(&items[group], is_whole, &unproven)
        })
        .await
    }

    /// Asks for a group until it is answered, or its failure is known to be its own. It is whole where none has failed yet.
    async fn settle(
        &self,
        items: &[Item<T>],
        is_whole: bool,
        unproven: &Unproven,
    ) -> Verdict<Result<R, String>> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(*self.limits.pauses.start())
            .with_max_delay(*self.limits.pauses.end())
            .without_max_times()
            .with_jitter()
            .build();
        let mut suspicion: Option<Suspicion> = None;
        let (mut came_back, mut relapses) = (false, 0);
        loop {
            let deadline = if is_whole && suspicion.is_none() {
                self.limits.whole
            } else {
                self.limits.part
            };
            let status = match self.attempt(items, deadline).await {
                Ok(results) => {
                    items
                        .iter()
                        .take(1)
                        .for_each(|item| self.control.keep(&item.request));
                    return Verdict::Settled(results.into_iter().map(Ok).collect());
                }
                Err(status) => status,
            };
            let failed = Instant::now();
            if is_refusal(status.code()) {
                return self.at_fault(items, &status);
            }
            relapses += u32::from(came_back);
            let (back_end, was_away) = self.find_out(items.len(), &status, &mut pauses).await;
            came_back = was_away && back_end != BackEnd::Wavers;
            if back_end == BackEnd::Wavers {
                (suspicion, relapses) = (None, 0);
                continue;
            }
            if was_away {
                suspicion = None;
                if relapses >= RELAPSES {
                    return self.at_fault(items, &status);
                }
                continue;
            }
            let suspected = suspicion.get_or_insert(Suspicion {
                since: failed,
                failures: 0,
            });
            suspected.failures += 1;
            let is_proven = match (items.len(), back_end) {
                (2.., _) => {
                    suspected.failures >= FAILURES_TOGETHER || status.code() == Code::DeadlineExceeded
                }
                (_, BackEnd::Works) => suspected.is_as_old_as(self.limits.suspicion),
                _ => {
                    suspected.is_as_old_as(self.limits.patience) && unproven.may_give_up(self.limits.patience)
                }
            };
            if is_proven {
                return self.at_fault(items, &status);
            }
            tracing::warn!(items = items.len(), %status, "cannot {}, though the service works", self.what);
        }
    }

    /// Pauses, and finds out whether the back end works; waits until it does where it is away, and says whether it was.
    async fn find_out(
        &self,
        items: usize,
        status: &Status,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> (BackEnd, bool) {
        let mut was_away = false;
        loop {
            tokio::time::sleep(pauses.next().unwrap_or(*self.limits.pauses.end())).await;
            match self.back_end().await {
                BackEnd::IsAway => {
                    tracing::warn!(items, %status, "cannot {} now; the batch is held", self.what);
                    was_away = true;
                }
                here => return (here, was_away),
            }
        }
    }

    async fn attempt(&self, items: &[Item<T>], deadline: Duration) -> Result<Vec<R>, Status> {
        let span = batch_span(self.what, items.iter().filter_map(|item| item.request.trace()));
        let requests = items.iter().map(|item| item.request.clone()).collect();
        let results = (self.call)(requests, deadline).instrument(span).await?;
        if results.len() == items.len() {
            Ok(results)
        } else {
            Err(Status::internal(format!(
                "{} answers to {} items",
                results.len(),
                items.len()
            )))
        }
    }

    async fn back_end(&self) -> BackEnd {
        let Some(control) = self.control.get() else {
            return if (self.is_well)().await {
                BackEnd::SaysSo
            } else {
                BackEnd::IsAway
            };
        };
        let mut answered = false;
        let times = rand::rng().random_range(CONTROLS);
        for _ in 0..times {
            let answer = (self.call)(vec![control.clone()], self.limits.part).await;
            // A refusal is an answer, too.
            if answer.is_err_and(|status| !is_refusal(status.code())) {
                return if answered {
                    BackEnd::Wavers
                } else {
                    BackEnd::IsAway
                };
            }
            answered = true;
        }
        BackEnd::Works
    }

    fn at_fault(&self, items: &[Item<T>], status: &Status) -> Verdict<Result<R, String>> {
        if items.len() == 1 {
            let reason = format!("{:?}: {}", status.code(), status.message());
            return Verdict::Settled(vec![Err(reason)]);
        }
        tracing::warn!(items = items.len(), %status, "refused to {}; trying in halves", self.what);
        Verdict::Divide
    }
}

/// That a group is at fault, since the back end works.
struct Suspicion {
    since: Instant,
    failures: u32,
}

impl Suspicion {
    fn is_as_old_as(&self, age: Duration) -> bool {
        self.failures >= FAILURES_ALONE && self.since.elapsed() >= age
    }
}

/// Bounds what is given up on the back end's word alone: should it be wrong, it costs one item in each stretch of
/// patience, not the queue.
#[derive(Default)]
struct Unproven(Mutex<Option<Instant>>);

impl Unproven {
    fn may_give_up(&self, patience: Duration) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= patience);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

/// Whether the items are refused for what they are, by the code's own meaning.
const fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
    )
}

/// The span under which a batch's call is made: in the items' trace where they share one, else linked to all of them.
fn batch_span<'a>(what: &'static str, traces: impl Iterator<Item = &'a TraceContext> + Clone) -> Span {
    if !traces.clone().any(trace::is_sampled) {
        return Span::none();
    }
    let span = tracing::info_span!(parent: None, "batch", otel.name = what, otel.kind = "internal");
    trace::set_batch_parent(&span, traces);
    span
}

#[cfg(test)]
mod tests;
