//! How many calls a client has at work at once with a service that may be asked for more than it can do.
//!
//! No number that is written down fits every machine, and one that is too large shows itself as waiting alone: the
//! service does as much as before, and each answer takes longer. So the number follows from how long answers take
//! (in small steps up and larger ones down): as long as they take less than [`TOLERATED`] on average it grows where it
//! is used up; where they take longer, or the service itself says that it is full, it shrinks. A call more is refused at
//! once, while whoever was let in is answered soon.
//!
//! The yardstick is a time, and not the shortest time seen, as Vegas and Gradient have it: calls that are committed in
//! groups take longer the more there are, and are the cheaper for it.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};
use tonic::Status;

use super::{
    limit::COME_BACK,
    status::{overloaded, retry_delay},
};
use crate::telemetry::meter;

/// What an answer may take on average: a person hardly feels it.
const TOLERATED: Duration = Duration::from_millis(300);
/// So many may always be at work, and are to begin with. Where it is the machine that is busy and not the service, answers
/// take long whatever is let in; fewer would only make smaller groups, of which each call costs more.
const LEAST: usize = 256;
/// For so long, or as long as an answer takes, answers are gathered before the number changes: what it was changed to has
/// shown itself by then.
const WINDOW: Duration = Duration::from_millis(100);
/// Of fewer answers an average says nothing.
const ENOUGH: u32 = 20;
/// The service is full where one of so many answers says so.
const FULL: u32 = 20;

/// The calls of a client to one service. Cheap to clone.
#[derive(Clone)]
pub struct AdaptiveLimit(Arc<Shared>);

struct Shared {
    service: &'static str,
    at_work: AtomicUsize,
    limit: AtomicUsize,
    /// Whether all places were taken since the number was looked at.
    was_full: AtomicBool,
    course: Mutex<Course>,
}

impl fmt::Debug for AdaptiveLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.0.limit.load(Ordering::Relaxed);
        write!(formatter, "AdaptiveLimit({}, {limit})", self.0.service)
    }
}

impl AdaptiveLimit {
    /// For calls of that service, and never for more than `most` at once.
    pub fn new(service: &'static str, most: usize) -> Self {
        let course = Course::new(most, Instant::now());
        LIMIT.record(course.limit as u64, &[KeyValue::new("shop.rpc.peer", service)]);
        Self(Arc::new(Shared {
            service,
            at_work: AtomicUsize::new(0),
            limit: AtomicUsize::new(course.limit),
            was_full: AtomicBool::new(false),
            course: Mutex::new(course),
        }))
    }

    /// Whether a call would be refused now. Who asks before anything is read of a request refuses it for next to nothing.
    pub fn is_full(&self) -> bool {
        let shared = &self.0;
        let full = shared.at_work.load(Ordering::Relaxed) >= shared.limit.load(Ordering::Relaxed);
        if full {
            self.note_full();
            self.note_refused();
        }
        full
    }

    /// A place for a call that is about to be made; the refusal where there is none.
    pub(super) fn begin(&self) -> Result<Place, Status> {
        let shared = &self.0;
        let limit = shared.limit.load(Ordering::Relaxed);
        let before = shared.at_work.fetch_add(1, Ordering::Relaxed);
        // Its end makes room again, also where it is dropped right here.
        let place = Place {
            limit: self.clone(),
            begun: Instant::now(),
        };
        if before + 1 >= limit {
            self.note_full();
        }
        if before < limit {
            Ok(place)
        } else {
            self.note_refused();
            Err(overloaded(COME_BACK))
        }
    }

    fn note_full(&self) {
        // Written only where it changes, since every call reads it.
        if !self.0.was_full.load(Ordering::Relaxed) {
            self.0.was_full.store(true, Ordering::Relaxed);
        }
    }

    fn note_refused(&self) {
        REFUSED.add(1, &[KeyValue::new("shop.rpc.peer", self.0.service)]);
    }

    fn answered(&self, begun: Instant, full: bool) {
        let shared = &self.0;
        let now = Instant::now();
        let mut course = shared.course.lock().unwrap_or_else(PoisonError::into_inner);
        course.note(now - begun, full);
        if course.is_due(now) {
            let limit = course.turn(shared.was_full.swap(false, Ordering::Relaxed), now);
            shared.limit.store(limit, Ordering::Relaxed);
            LIMIT.record(limit as u64, &[KeyValue::new("shop.rpc.peer", shared.service)]);
        }
    }
}

/// A call that is at work, until it is dropped. Where nobody waited for its answer, its time says nothing.
#[derive(Debug)]
pub(super) struct Place {
    limit: AdaptiveLimit,
    begun: Instant,
}

impl Place {
    /// The call has this answer, of which only a refusal is looked at.
    pub(super) fn answered(self, refused: Option<&Status>) {
        let full = refused.is_some_and(|status| retry_delay(status).is_some());
        self.limit.answered(self.begun, full);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limit.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How the number changes: rules only.
#[derive(Debug)]
struct Course {
    most: usize,
    limit: usize,
    /// Of the answers since then.
    since: Instant,
    answers: u32,
    took: Duration,
    full: u32,
}

impl Course {
    fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            limit: LEAST.min(most),
            since: now,
            answers: 0,
            took: Duration::ZERO,
            full: 0,
        }
    }

    /// An answer took so long; whether it said that the service is full.
    fn note(&mut self, took: Duration, full: bool) {
        self.answers = self.answers.saturating_add(1);
        self.took = self.took.saturating_add(took);
        self.full += u32::from(full);
    }

    fn average(&self) -> Duration {
        self.took.checked_div(self.answers).unwrap_or_default()
    }

    /// Whether there are answers enough to change the number by.
    fn is_due(&self, now: Instant) -> bool {
        self.answers >= ENOUGH && now.saturating_duration_since(self.since) >= WINDOW.max(self.average())
    }

    /// The next number, by the answers since the last; `used_up` where all places were taken meanwhile.
    fn turn(&mut self, used_up: bool, now: Instant) -> usize {
        let too_much = self.average() > TOLERATED || self.full > self.answers / FULL;
        if too_much {
            self.limit = (self.limit - self.limit / 10).max(LEAST.min(self.most));
        } else if used_up {
            self.limit = (self.limit + self.limit / 20 + 1).min(self.most);
        }
        *self = Self {
            limit: self.limit,
            ..Self::new(self.most, now)
        };
        self.limit
    }
}

static LIMIT: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    meter()
        .u64_gauge("shop.rpc.client.limit")
        .with_description("How many calls may be at work at once with a service")
        .with_unit("{call}")
        .build()
});

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("shop.rpc.client.refused_calls")
        .with_description("Calls that were not made, or requests refused before they led to one, because too many are at work")
        .with_unit("{call}")
        .build()
});

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_precision_loss)]
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// A service that answers so many a second, in turn, and is asked by as many as come.
    struct Queue {
        course: Course,
        now: Instant,
        waiting: VecDeque<Instant>,
        answered: usize,
        refused: usize,
        longest: Duration,
    }

    impl Queue {
        fn new(most: usize) -> Self {
            let now = Instant::now();
            Self {
                course: Course::new(most, now),
                now,
                waiting: VecDeque::new(),
                answered: 0,
                refused: 0,
                longest: Duration::ZERO,
            }
        }

        /// Lets that time pass, in steps of a millisecond; rates are in calls per millisecond.
        fn pass(&mut self, millis: u32, offered: f64, served: f64) {
            (self.answered, self.refused, self.longest) = (0, 0, Duration::ZERO);
            let (mut coming, mut going, mut used_up) = (0.0, 0.0, false);
            for _ in 0..millis {
                self.now += Duration::from_millis(1);
                coming += offered;
                while coming >= 1.0 {
                    coming -= 1.0;
                    if self.waiting.len() < self.course.limit {
                        self.waiting.push_back(self.now);
                    } else {
                        self.refused += 1;
                    }
                    used_up |= self.waiting.len() >= self.course.limit;
                }
                going = (going + served).min(self.waiting.len() as f64);
                while going >= 1.0 {
                    going -= 1.0;
                    let took = self.now - self.waiting.pop_front().unwrap();
                    self.longest = self.longest.max(took);
                    self.answered += 1;
                    self.course.note(took, false);
                    if self.course.is_due(self.now) {
                        self.course.turn(std::mem::take(&mut used_up), self.now);
                    }
                }
            }
        }
    }

    proptest! {
        /// However fast a service is and however much too much it is asked: it is kept busy, and who is let in is answered
        /// soon.
        #[test]
        fn three_times_too_much_is_answered_as_much_and_soon(served in 0.5_f64..8.0, times in 1.5_f64..5.0) {
            let mut queue = Queue::new(100_000);
            queue.pass(10_000, served * times, served);
            queue.pass(10_000, served * times, served);
            prop_assert!(queue.answered as f64 > 0.95 * served * 10_000.0, "{} answered", queue.answered);
            prop_assert!(queue.refused > 0);
            let at_least = Duration::from_secs_f64(LEAST as f64 / served / 1000.0);
            prop_assert!(queue.longest < at_least.max(TOLERATED).mul_f64(2.0), "{:?}", queue.longest);
        }
    }

    #[test]
    fn what_became_slow_lets_in_less_and_what_became_fast_more() {
        let mut queue = Queue::new(2_048);
        queue.pass(20_000, 9.0, 3.0);
        let fast = queue.course.limit;
        // Each look takes as long as an answer, which is seconds now.
        queue.pass(90_000, 9.0, 0.1);
        assert_eq!(queue.course.limit, LEAST);
        queue.pass(10_000, 9.0, 3.0);
        assert!(
            queue.course.limit * 10 > fast * 7,
            "{} of {fast}",
            queue.course.limit
        );
        queue.pass(5_000, 1.0, 3.0);
        assert_eq!(queue.refused, 0, "what it can do is let in");
    }

    #[test]
    fn a_service_that_says_it_is_full_is_asked_less() {
        let mut course = Course::new(2_048, Instant::now());
        for turn in 1..40 {
            for answer in 0..100 {
                course.note(Duration::from_millis(1), answer % 10 == 0);
            }
            course.turn(true, Instant::now() + WINDOW * turn);
        }
        assert_eq!(course.limit, LEAST);
    }

    #[test]
    fn a_place_is_free_again_however_the_call_ends() {
        let limit = AdaptiveLimit::new("test", 2);
        let (first, second) = (limit.begin().unwrap(), limit.begin().unwrap());
        let refused = limit.begin().unwrap_err();
        assert!(retry_delay(&refused).is_some() && limit.is_full());
        drop(first);
        assert!(!limit.is_full());
        second.answered(None);
        assert_eq!(limit.0.at_work.load(Ordering::Relaxed), 0);
    }
}
