//! How many orders one customer may have open, pending or confirmed: the rule. Nothing here knows gRPC or SQL.
//!
//! A replica counts in memory what it lets in, on top of what was open when the database was last asked. It asks again
//! before it refuses anybody, so that what was completed or cancelled meanwhile is noticed at once where it matters; and
//! once it has let in so many that what other replicas let in at the same time could matter ([`read_again_after`]).

use std::collections::HashSet;

use uuid::Uuid;

/// After how many orders the database is asked again. As a replica knows nothing of the others, each may let in so many too
/// many. They are a hundredth of the bound, since each read counts as many orders as the bound at most.
pub const fn read_again_after(bound: u32) -> u32 {
    if bound > 10_000 { bound / 100 } else { 100 }
}

/// What is known of one customer's open orders.
#[derive(Debug, Default)]
pub struct Tally {
    /// What the database said; none before it was first asked, and while it is being asked.
    read: Option<u32>,
    /// Orders from here that `read` does not count.
    beyond: u32,
    /// Those of them that were let in since it was read.
    since: u32,
    /// Those whose commit is not over.
    at_work: HashSet<Uuid>,
    reads: Reads,
}

/// How often the database was asked, by which is told whether an answer is of before or after a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reads(u64);

/// Whether another order may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and is counted from now on.
    LetIn,
    /// It may not.
    Refused,
    /// The database is to be asked first.
    ReadFirst,
}

impl Tally {
    /// How often the database was asked by now.
    pub const fn reads(&self) -> Reads {
        self.reads
    }

    /// Whether there is an answer of the database.
    pub const fn is_known(&self) -> bool {
        self.read.is_some()
    }

    /// Whether that order may be opened beside the others, by a request that came when the database had been asked
    /// `came_after` times.
    pub fn let_in(&mut self, order: Uuid, bound: u32, came_after: Reads) -> Verdict {
        let Some(read) = self.read else {
            return Verdict::ReadFirst;
        };
        let left = bound.saturating_sub(read.saturating_add(self.beyond));
        match left {
            0 if self.reads > came_after => Verdict::Refused,
            0 => Verdict::ReadFirst,
            _ if self.since >= read_again_after(bound) => Verdict::ReadFirst,
            _ => {
                self.beyond += 1;
                self.since += 1;
                self.at_work.insert(order);
                Verdict::LetIn
            }
        }
    }

    /// The database is about to be asked. Returns the orders that it is to leave out: whether it would count them is
    /// anybody's guess, and they are counted here.
    pub fn begin_to_read(&mut self) -> Vec<Uuid> {
        self.read = None;
        self.reads.0 += 1;
        self.since = 0;
        self.beyond = u32::try_from(self.at_work.len()).unwrap_or(u32::MAX);
        self.at_work.iter().copied().collect()
    }

    /// So many are open, without those that were to be left out.
    pub const fn have_read(&mut self, open: u32) {
        self.read = Some(open);
    }

    /// The order's commit is over. It may have been placed: where that is not known, the next read will tell.
    pub fn placed(&mut self, order: Uuid) {
        self.at_work.remove(&order);
    }

    /// The order was let in, and is not to be placed after all.
    pub fn not_placed(&mut self, order: Uuid) {
        if self.at_work.remove(&order) {
            self.beyond = self.beyond.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEVER: Reads = Reads(0);

    fn known(open: u32) -> Tally {
        let mut tally = Tally::default();
        assert!(tally.begin_to_read().is_empty() && !tally.is_known());
        tally.have_read(open);
        tally
    }

    fn id() -> Uuid {
        Uuid::now_v7()
    }

    fn places(tally: &mut Tally, bound: u32) -> Verdict {
        let (order, now) = (id(), tally.reads());
        let verdict = tally.let_in(order, bound, now);
        tally.placed(order);
        verdict
    }

    #[test]
    fn a_customer_who_is_not_known_is_read_first() {
        let mut tally = Tally::default();
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::ReadFirst);
        tally.begin_to_read();
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::ReadFirst, "no answer yet");
        tally.have_read(4);
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::LetIn);
    }

    #[test]
    fn nobody_is_refused_by_what_was_read_before_they_came() {
        let mut tally = known(5);
        let now = tally.reads();
        assert_eq!(tally.let_in(id(), 5, now), Verdict::ReadFirst);
        tally.begin_to_read();
        tally.have_read(5);
        assert_eq!(tally.let_in(id(), 5, now), Verdict::Refused);
        let later = tally.reads();
        assert_eq!(tally.let_in(id(), 5, later), Verdict::ReadFirst);
        tally.begin_to_read();
        tally.have_read(4);
        assert_eq!(tally.let_in(id(), 5, later), Verdict::LetIn, "one was cancelled");
    }

    #[test]
    fn what_is_let_in_counts_at_once() {
        let mut tally = known(3);
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::LetIn);
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::LetIn);
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::Refused);
    }

    #[test]
    fn what_is_not_placed_gives_its_place_back_once() {
        let mut tally = known(4);
        let order = id();
        assert_eq!(tally.let_in(order, 5, NEVER), Verdict::LetIn);
        tally.not_placed(order);
        tally.not_placed(order);
        tally.placed(order);
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::LetIn);
        assert_eq!(tally.let_in(id(), 5, NEVER), Verdict::Refused);
    }

    /// Whichever comes first, the end of its commit or that of the read.
    #[test]
    fn what_is_at_work_while_the_database_is_asked_is_counted_once() {
        let (first, second) = (id(), id());
        let mut tally = known(0);
        tally.let_in(first, 9, NEVER);
        tally.let_in(second, 9, NEVER);
        let mut left_out = tally.begin_to_read();
        left_out.sort();
        let mut both = vec![first, second];
        both.sort();
        assert_eq!(left_out, both);
        tally.placed(first);
        tally.not_placed(second);
        tally.have_read(2);
        // Two of before, and the first.
        assert_eq!(tally.let_in(id(), 4, NEVER), Verdict::LetIn);
        assert_eq!(tally.let_in(id(), 4, NEVER), Verdict::Refused);
    }

    #[test]
    fn a_hundred_orders_later_the_database_is_asked_again_and_later_for_a_large_bound() {
        for (bound, expected) in [(1_000, 100), (10_000, 100), (500_000, 5_000)] {
            let mut tally = known(0);
            let placed = (0..).take_while(|_| places(&mut tally, bound) == Verdict::LetIn);
            assert_eq!(placed.count(), expected);
            tally.begin_to_read();
            tally.have_read(100);
            assert_eq!(places(&mut tally, bound), Verdict::LetIn);
        }
    }

    #[test]
    fn a_bound_that_was_lowered_refuses_and_overflows_nowhere() {
        let mut tally = known(u32::MAX);
        assert_eq!(tally.let_in(id(), 1, NEVER), Verdict::Refused);
    }

    proptest! {
        /// Replicas that take turns at random, each of which asks whenever it says so.
        #[test]
        fn replicas_together_go_beyond_it_by_so_many_each_at_most(
            bound in 1_u32..20_000, turns in prop::collection::vec((0_usize..8, 1_u32..400), 1..200)
        ) {
            let mut replicas: Vec<Tally> = (0..8).map(|_| Tally::default()).collect();
            let mut open = 0;
            for (replica, wishes) in turns {
                let tally = &mut replicas[replica];
                for _ in 0..wishes {
                    let (order, now) = (id(), tally.reads());
                    let mut verdict = tally.let_in(order, bound, now);
                    if verdict == Verdict::ReadFirst {
                        prop_assert!(tally.begin_to_read().is_empty());
                        tally.have_read(open);
                        verdict = tally.let_in(order, bound, now);
                        prop_assert_ne!(verdict, Verdict::ReadFirst);
                    }
                    tally.placed(order);
                    prop_assert!(verdict == Verdict::LetIn || open >= bound, "nobody is refused wrongly");
                    open += u32::from(verdict == Verdict::LetIn);
                }
            }
            prop_assert!(open <= bound + 8 * read_again_after(bound));
        }
    }
}
