//! Which replicas are passed over because their calls fail, and until when (outlier ejection).

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long an address is passed over the first time; each further failure in a row doubles it.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// One late call may be the caller's short deadline or one slow query; so many in a row are the replica's.
const LATE_IN_A_ROW: u32 = 2;

/// The addresses whose last call failed.
#[derive(Debug, Default)]
pub(super) struct Outliers(HashMap<SocketAddr, Failing>);

#[derive(Debug, Default)]
struct Failing {
    late: u32,
    rests: u32,
    until: Option<Instant>,
}

impl Outliers {
    /// Whether `address` may be called. Where its rest has just ended, the call is its trial: until that is answered
    /// others pass it over.
    pub(super) fn admits(&mut self, address: SocketAddr, now: Instant) -> bool {
        let Some(failing) = self.0.get_mut(&address) else {
            return true;
        };
        match failing.until {
            None => true,
            Some(until) if until > now => false,
            Some(_) => {
                failing.until = Some(now + rest(failing.rests));
                true
            }
        }
    }

    /// An answer came, whatever it says.
    pub(super) fn answered(&mut self, address: SocketAddr) {
        self.0.remove(&address);
    }

    /// The address could not be reached, or its connection broke.
    pub(super) fn broke(&mut self, address: SocketAddr, now: Instant) {
        self.0.entry(address).or_default().eject(now);
    }

    /// A call ran into its deadline. Of `all` addresses no more than half rest for that: what is slow everywhere is no
    /// outlier.
    pub(super) fn late(&mut self, address: SocketAddr, all: usize, now: Instant) {
        let others = self.0.iter().filter(|(other, _)| **other != address);
        let resting = others.filter(|(_, failing)| failing.until.is_some()).count();
        let failing = self.0.entry(address).or_default();
        failing.late = failing.late.saturating_add(1);
        if failing.late >= LATE_IN_A_ROW && (resting + 1) * 2 <= all {
            failing.eject(now);
        }
    }

    /// Forgets all but `addresses`.
    pub(super) fn retain(&mut self, addresses: &[SocketAddr]) {
        self.0.retain(|address, _| addresses.contains(address));
    }
}

impl Failing {
    /// Failures of calls that were under way together are one: they don't make the rest longer.
    fn eject(&mut self, now: Instant) {
        if self.rests > 0 && self.until.is_some_and(|until| until > now + rest(self.rests) / 2) {
            return;
        }
        self.rests = self.rests.saturating_add(1);
        self.until = Some(now + rest(self.rests));
    }
}

fn rest(times: u32) -> Duration {
    (REST * (1 << times.saturating_sub(1).min(5))).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 1).into()
    }

    #[test]
    fn late_twice_rests_then_one_trial_at_a_time_and_an_answer_lets_it_back() {
        let (mut outliers, now) = (Outliers::default(), Instant::now());
        outliers.late(address(1), 2, now);
        assert!(outliers.admits(address(1), now), "once is no outlier");
        outliers.late(address(1), 2, now);
        assert!(!outliers.admits(address(1), now));
        let after = now + REST;
        assert!(outliers.admits(address(1), after), "the trial");
        assert!(!outliers.admits(address(1), after), "one trial");
        outliers.answered(address(1));
        assert!(outliers.admits(address(1), after));
    }

    #[test]
    fn what_is_slow_everywhere_is_no_outlier() {
        let (mut outliers, now) = (Outliers::default(), Instant::now());
        for _ in 0..5 {
            for last in 1..=4 {
                outliers.late(address(last), 4, now);
            }
        }
        let admitted = (1..=4)
            .filter(|last| outliers.admits(address(*last), now))
            .count();
        assert_eq!(admitted, 2);
    }
}
