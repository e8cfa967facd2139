//! Who waits for a hash, and whose turn is next: the lines, and how many places each account and each address has.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
};

use tokio::sync::oneshot;

use super::Turn;
use crate::backoff::Lane;

/// For whom a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    /// Whose attempts it is one of; none where there is no account yet.
    pub(super) account: Option<Lane>,
    /// Where it comes from; none where that is not known.
    pub(super) address: Option<IpAddr>,
}

impl Party {
    /// Whoever is at that address; anything that is none is nobody's. This machine itself is no address: whoever makes
    /// load on it has but one. Of IPv6 a /64 is one.
    pub(crate) fn at(address: &str) -> Self {
        let address = address.parse::<IpAddr>().ok();
        let address = address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) if address.is_loopback() => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        });
        Self {
            account: None,
            address: address.filter(|address: &IpAddr| !address.is_loopback()),
        }
    }

    /// Who waits in one line with it.
    fn line(self) -> Self {
        match self.address {
            Some(_) => Self {
                account: None,
                ..self
            },
            None => self,
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) at_work: usize,
    pub(super) waiting: usize,
    /// Places, at work or waiting.
    pub(super) of_account: HashMap<Lane, usize>,
    pub(super) of_address: HashMap<IpAddr, usize>,
    /// Those who wait, none empty. The next turn is the first line's, which then goes to the end.
    lines: VecDeque<Line>,
}

pub(super) struct Line {
    of: Party,
    waiters: VecDeque<Waiter>,
}

pub(super) type Waiter = oneshot::Sender<Turn>;

impl State {
    /// At the end of its line.
    pub(super) fn join(&mut self, party: Party) -> oneshot::Receiver<Turn> {
        let (turn, waiting) = oneshot::channel();
        self.waiting += 1;
        match self.lines.iter_mut().find(|line| line.of == party.line()) {
            Some(line) => line.waiters.push_back(turn),
            None => self.lines.push_back(Line {
                of: party.line(),
                waiters: VecDeque::from([turn]),
            }),
        }
        waiting
    }

    /// Whoever is next.
    pub(super) fn next_waiter(&mut self) -> Option<Waiter> {
        let mut line = self.lines.pop_front()?;
        let waiter = line.waiters.pop_front();
        if !line.waiters.is_empty() {
            self.lines.push_back(line);
        }
        self.waiting -= usize::from(waiter.is_some());
        waiter
    }

    /// The longest line, where it would still not be shorter than the party's own once it has given a place to that.
    pub(super) fn longest_line_beside(&self, party: Party) -> Option<usize> {
        let length = |line: &Line| line.waiters.len();
        let own = self.lines.iter().find(|line| line.of == party.line());
        let (position, longest) = self
            .lines
            .iter()
            .enumerate()
            .max_by_key(|(_, line)| length(line))?;
        (length(longest) >= own.map_or(0, length) + 2).then_some(position)
    }

    pub(super) fn turn_away_newest(&mut self, position: usize) {
        let line = self.lines.get_mut(position);
        if line.and_then(|line| line.waiters.pop_back()).is_some() {
            self.waiting -= 1;
        }
    }
}

pub(super) fn taken<K: Eq + Hash>(places: &HashMap<K, usize>, key: &K) -> usize {
    places.get(key).copied().unwrap_or_default()
}

pub(super) fn leave<K: Eq + Hash>(places: &mut HashMap<K, usize>, key: Option<K>) {
    let Some(key) = key else { return };
    if let Some(taken) = places.get_mut(&key) {
        *taken -= 1;
        if *taken == 0 {
            places.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_and_this_machine_is_none() {
        assert_eq!(Party::at("2001:db8::1"), Party::at("2001:db8::ffff:2"));
        assert_ne!(Party::at("2001:db8::1"), Party::at("2001:db8:0:1::1"));
        assert_eq!(Party::at("::ffff:192.0.2.1"), Party::at("192.0.2.1"));
        for nobody in ["", "no address", "127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Party::at(nobody), Party::default(), "{nobody}");
        }
    }
}
