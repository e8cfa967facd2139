//! Events in memory on their way from their commit to producer-service: which may go now. Rules only.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::Event;

/// So long after its row was written an event may still be published from memory. Shorter than [`LEASE`], so that memory
/// and sweep don't both publish it.
const FRESH_FOR: Duration = Duration::from_millis(1_500);
/// So long after it was written a row is left alone by every sweep.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// The most events that are kept; further ones are left to the sweep.
const MAX_EVENTS: usize = 20_000;

/// An event with its row.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) seq: i64,
    /// How often it was tried in vain.
    pub(crate) attempts: i32,
    pub(crate) event: Event,
    /// The latest earlier row of its subject that was still there when this one was appended.
    pub(crate) follows: Option<i64>,
    pub(crate) appended: Instant,
}

/// The events that wait. Of each subject at most one is ready or away at a time; later ones stand behind it.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    ready: VecDeque<Pending>,
    /// By every subject that has an event ready or away: those behind it.
    behind: HashMap<Uuid, Behind>,
    waiting: usize,
    done: Done,
}

#[derive(Debug, Default)]
struct Behind {
    events: VecDeque<Pending>,
    /// One was left to the sweep, so none may come after it.
    closed: bool,
}

impl Fresh {
    /// Takes an event in, unless it is for the sweep: where something must be published before it that is not here, or
    /// where there is no room.
    fn push(&mut self, pending: Pending) {
        let has_room = self.ready.len() + self.waiting < MAX_EVENTS;
        if let Some(behind) = self.behind.get_mut(&pending.event.subject) {
            if has_room && !behind.closed {
                behind.events.push_back(pending);
                self.waiting += 1;
            } else {
                behind.closed = true;
            }
        } else if has_room && pending.follows.is_none_or(|earlier| self.done.contains(earlier)) {
            self.behind.insert(pending.event.subject, Behind::default());
            self.ready.push_back(pending);
        }
    }

    /// Takes in all that one transaction has committed, in its order.
    pub(crate) fn extend(&mut self, committed: Vec<Pending>) {
        for pending in committed {
            self.push(pending);
        }
    }

    /// The next events to be published together, `most` at most and each of another subject. What is no longer fresh is
    /// left to the sweep, with all that stands behind it.
    pub(crate) fn take(&mut self, most: usize, now: Instant) -> Vec<Pending> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(pending) = self.ready.pop_front()
        {
            if now.saturating_duration_since(pending.appended) > FRESH_FOR {
                self.forget(pending.event.subject);
            } else {
                taken.push(pending);
            }
        }
        taken
    }

    /// An event that was taken has been published: the next of its subject may go.
    pub(crate) fn published(&mut self, seq: i64, subject: Uuid) {
        self.done.insert(seq);
        let Some(behind) = self.behind.get_mut(&subject) else {
            return;
        };
        match behind.events.pop_front() {
            Some(next) => {
                self.waiting -= 1;
                self.ready.push_back(next);
            }
            None => drop(self.behind.remove(&subject)),
        }
    }

    /// An event that was taken was not published: it and those behind it are for the sweep.
    pub(crate) fn forget(&mut self, subject: Uuid) {
        if let Some(behind) = self.behind.remove(&subject) {
            self.waiting -= behind.events.len();
        }
    }
}

/// The last rows whose events were published from here. They may be there for a moment longer.
#[derive(Debug, Default)]
struct Done {
    order: VecDeque<i64>,
    seqs: HashSet<i64>,
}

impl Done {
    fn insert(&mut self, seq: i64) {
        if self.seqs.insert(seq) {
            self.order.push_back(seq);
        }
        if self.order.len() > MAX_EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seqs.remove(&oldest);
        }
    }

    fn contains(&self, seq: i64) -> bool {
        self.seqs.contains(&seq)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use proto::{event::EventType, trace::TraceContext};
    use time::OffsetDateTime;

    use super::*;

    fn pending(seq: i64, subject: u128, follows: Option<i64>) -> Pending {
        let subject = Uuid::from_u128(subject);
        let event = Event::new(
            EventType::OrderCreated,
            subject,
            &(),
            &TraceContext::default(),
            OffsetDateTime::UNIX_EPOCH,
        );
        Pending {
            seq,
            attempts: 0,
            event: event.unwrap(),
            follows,
            appended: Instant::now(),
        }
    }

    fn seqs(taken: &[Pending]) -> Vec<i64> {
        taken.iter().map(|pending| pending.seq).collect()
    }

    #[test]
    fn of_one_subject_one_event_goes_at_a_time() {
        let (mut fresh, now) = (Fresh::default(), Instant::now());
        for (seq, subject, follows) in [(1, 7, None), (2, 7, Some(1)), (3, 8, None), (4, 7, Some(2))] {
            fresh.push(pending(seq, subject, follows));
        }
        assert_eq!(seqs(&fresh.take(10, now)), [1, 3]);
        assert!(fresh.take(10, now).is_empty());
        fresh.published(1, Uuid::from_u128(7));
        assert_eq!(seqs(&fresh.take(10, now)), [2]);
        fresh.forget(Uuid::from_u128(7));
        assert!(
            fresh.take(10, now).is_empty(),
            "what stands behind a failure is the sweep's"
        );
        fresh.published(3, Uuid::from_u128(8));
        assert!(fresh.behind.is_empty() && fresh.waiting == 0);
        // Its row is still there, but was published from here.
        fresh.push(pending(5, 8, Some(3)));
        assert_eq!(seqs(&fresh.take(10, now)), [5]);
    }

    #[test]
    fn what_follows_something_that_is_not_here_and_what_is_old_are_left_to_the_sweep() {
        let mut fresh = Fresh::default();
        fresh.push(pending(1, 7, Some(0)));
        fresh.push(pending(2, 8, None));
        fresh.push(pending(3, 8, Some(2)));
        assert!(fresh.take(10, Instant::now() + LEASE).is_empty());
        assert!(fresh.behind.is_empty() && fresh.ready.is_empty() && fresh.waiting == 0);
    }

    proptest! {
        /// Whatever happens, a subject's events leave in the order in which they came, one at a time.
        #[test]
        fn a_subjects_events_never_overtake_each_other(steps in proptest::collection::vec((0_u8..4, 0_u128..3), 1..200)) {
            let (mut fresh, now) = (Fresh::default(), Instant::now());
            let mut away: HashMap<Uuid, i64> = HashMap::new();
            let mut last: HashMap<Uuid, i64> = HashMap::new();
            for (seq, (step, subject)) in (1_i64..).zip(steps) {
                let id = Uuid::from_u128(subject);
                match step {
                    0 | 1 => fresh.push(pending(seq, subject, last.get(&id).copied())),
                    2 => for taken in fresh.take(2, now) {
                        let of = taken.event.subject;
                        prop_assert!(away.insert(of, taken.seq).is_none(), "two of one subject are away");
                        prop_assert!(last.insert(of, taken.seq).is_none_or(|before| before < taken.seq));
                    },
                    _ => if let Some(seq) = away.remove(&id) {
                        fresh.published(seq, id);
                    },
                }
            }
        }
    }
}
