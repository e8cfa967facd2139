//! Types of events that nobody listens to.
//!
//! An event that moves nothing and that no queue takes is dropped by the broker, after it has cost as much as any other:
//! a row, a call, a message and a confirm. So when producer-service says of an event that nobody heard it, no other of its
//! type is written for [`UNHEARD_FOR`]; the next one after that finds out whether somebody listens by now. What a new
//! binding misses are the events of its first second, as it misses those of the second before.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use proto::event::UNHEARD_FOR;

/// The types, each until when. Few by construction: they are those that the service emits. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unheard(Arc<RwLock<HashMap<String, Instant>>>);

impl Unheard {
    /// An event of that type was heard by nobody, just now.
    pub(crate) fn note(&self, kind: &str, now: Instant) {
        let mut types = self.0.write().unwrap_or_else(PoisonError::into_inner);
        types.insert(kind.to_owned(), now + UNHEARD_FOR);
    }

    /// Whether an event of that type would most likely be heard by nobody.
    pub(crate) fn covers(&self, kind: &str, now: Instant) -> bool {
        let types = self.0.read().unwrap_or_else(PoisonError::into_inner);
        types.get(kind).is_some_and(|until| now < *until)
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
}
