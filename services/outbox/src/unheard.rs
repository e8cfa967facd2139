//! Types of events that nobody listens to.
//!
//! An event that moves nothing and that no queue takes is dropped by the broker, after it has cost as much as any other:
//! a row, a call, a message and a confirm. So when producer-service says of an event that nobody heard it, no other of its
//! type is written for [`UNHEARD_FOR`]; the next one after that finds out whether somebody listens by now. What a new
//! binding misses are the events of its first second, as it misses those of the second before.
//!
//! It says something about rows, too. An event that is heard may follow one of the same subject that another replica has
//! published; until that one's row is deleted it has to wait. Where none is heard, nobody waits, and rows may be deleted
//! many at a time ([`Unheard::nothing_follows`]).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use proto::event::{EventType, UNHEARD_FOR};

/// For so long after an event was heard another may be.
const HEARD_FOR: Duration = Duration::from_mins(10);

/// What is known of who listens. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unheard(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The types that nobody listens to, each until when. Few by construction: they are those that the service emits.
    types: HashMap<String, Instant>,
    /// When an event that need not be heard last was.
    heard: Option<Instant>,
}

impl Unheard {
    /// An event of that type was heard by nobody, just now.
    pub(crate) fn note(&self, kind: &str, now: Instant) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.types.insert(kind.to_owned(), now + UNHEARD_FOR);
    }

    /// An event of that type was heard. Of one that must be, this says nothing.
    pub(crate) fn note_heard(&self, kind: &str, now: Instant) {
        if !EventType::parse(kind).is_some_and(EventType::is_mandatory) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).heard = Some(now);
        }
    }

    /// Whether an event of that type would most likely be heard by nobody.
    pub(crate) fn covers(&self, kind: &str, now: Instant) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.types.get(kind).is_some_and(|until| now < *until)
    }

    /// Whether what is published now is most likely followed by nothing that anybody hears: there are types that nobody
    /// listens to, and none that somebody does but those that must be heard. Of these the later ones come from people.
    pub(crate) fn nothing_follows(&self, now: Instant) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let was_heard = |heard| now.saturating_duration_since(heard) < HEARD_FOR;
        !known.heard.is_some_and(was_heard) && known.types.values().any(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_unheard_for_a_second_and_then_it_is_tried_again() {
        let (unheard, now) = (Unheard::default(), Instant::now());
        assert!(!unheard.covers("order.confirmed", now));
        unheard.note("order.confirmed", now);
        assert!(unheard.covers("order.confirmed", now));
        assert!(!unheard.covers("order.rejected", now));
        let later = now + UNHEARD_FOR;
        assert!(!unheard.covers("order.confirmed", later));
        unheard.note("order.confirmed", later);
        assert!(unheard.covers("order.confirmed", later));
    }

    #[test]
    fn nothing_follows_where_only_what_must_be_is_heard() {
        let (unheard, now) = (Unheard::default(), Instant::now());
        assert!(!unheard.nothing_follows(now), "nothing is known");
        unheard.note("order.confirmed", now);
        unheard.note_heard("order.created", now);
        assert!(unheard.nothing_follows(now));
        assert!(!unheard.nothing_follows(now + UNHEARD_FOR));
        unheard.note_heard("order.rejected", now);
        assert!(!unheard.nothing_follows(now));
        let later = now + HEARD_FOR;
        unheard.note("order.confirmed", later);
        assert!(unheard.nothing_follows(later));
    }
}
