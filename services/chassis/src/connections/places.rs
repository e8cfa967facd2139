//! Who has a connection. Bounds them in all and for each network, and lets whoever comes take the place of whoever has
//! waited longest with nothing asked: connections that only wait can be had by the thousand, and would shut out all others.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Network, networks};

/// So many bytes may all unfinished heads have together: what memory they take is bounded by it, whoever sends them.
const HEADS: usize = 64 * 1024 * 1024;

/// What bounds the connections of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most at once.
    pub(crate) max: usize,
    /// The most from one IPv4 address or one /64 of IPv6; of larger networks see [`networks()`].
    pub(crate) max_per_address: usize,
    /// Whether that holds for this machine itself.
    pub(crate) exempt_loopback: bool,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    /// The head of its next request is not there yet; or it has never had one.
    Head,
    /// It was answered, and nothing has come since.
    Idle,
    /// So many requests, one or more, are at work, or their answers on their way.
    Work(u32),
    /// It ends, for another.
    Ended,
}

impl Doing {
    const HEAD: u32 = 0;
    const IDLE: u32 = 1;
    const ENDED: u32 = 2;

    fn of(number: u32) -> Self {
        match number {
            Self::HEAD => Self::Head,
            Self::IDLE => Self::Idle,
            Self::ENDED => Self::Ended,
            more => Self::Work(more - Self::ENDED),
        }
    }

    /// For an atomic.
    fn number(self) -> u32 {
        match self {
            Self::Head => Self::HEAD,
            Self::Idle => Self::IDLE,
            Self::Ended => Self::ENDED,
            Self::Work(requests) => Self::ENDED.saturating_add(requests),
        }
    }
}

/// Why there is no place: all are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Of all.
    All,
    /// Of a network's.
    Network,
}

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    networks: Vec<(Network, u32)>,
    doing: AtomicU32,
    /// Of its unfinished head.
    head_bytes: AtomicUsize,
    /// Whether a request was answered before all of it was read.
    pub(crate) leaves_unread: AtomicBool,
    pub(crate) ended: CancellationToken,
    places: Arc<Places>,
}

/// The places of a server.
#[derive(Debug)]
pub(crate) struct Places {
    bounds: Bounds,
    taken: Mutex<Taken>,
    freed: Notify,
    head_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    places: BTreeMap<u64, Arc<Place>>,
    networks: HashMap<Network, usize>,
}

impl Places {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            taken: Mutex::default(),
            freed: Notify::new(),
            head_bytes: AtomicUsize::new(0),
        })
    }

    /// Waits until there is a place for somebody.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            let has_room = {
                let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.places.len() < self.bounds.max || taken.longest_waiting(None).is_some()
            };
            if has_room {
                return;
            }
            freed.await;
        }
    }

    /// A place for whoever comes from there.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Full> {
        let peer = peer.to_canonical();
        let networks = if peer.is_loopback() && self.bounds.exempt_loopback {
            Vec::new()
        } else {
            networks(peer).collect()
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for (network, factor) in &networks {
            let factor = usize::try_from(*factor).unwrap_or(1);
            let most = self.bounds.max_per_address.saturating_mul(factor);
            if taken.networks.get(network).is_some_and(|held| *held >= most) {
                let waiting = taken.longest_waiting(Some(network)).ok_or(Full::Network)?;
                taken.end(&waiting);
            }
        }
        if taken.places.len() >= self.bounds.max {
            let waiting = taken.longest_waiting(None).ok_or(Full::All)?;
            taken.end(&waiting);
        }
        let place = Arc::new(Place {
            number: taken.next,
            networks,
            doing: AtomicU32::new(Doing::HEAD),
            head_bytes: AtomicUsize::new(0),
            leaves_unread: AtomicBool::new(false),
            ended: CancellationToken::new(),
            places: Arc::clone(self),
        });
        taken.next += 1;
        for (network, _) in &place.networks {
            *taken.networks.entry(*network).or_default() += 1;
        }
        taken.places.insert(place.number, Arc::clone(&place));
        drop(taken);
        Ok(Seat(place))
    }
}

impl Taken {
    /// Rather one whose head is not there than one that was of use before, and the oldest of these.
    fn longest_waiting(&self, network: Option<&Network>) -> Option<Arc<Place>> {
        self.places
            .values()
            .filter(|place| {
                network.is_none_or(|network| place.networks.iter().any(|(own, _)| own == network))
            })
            .map(|place| (place.doing(), place))
            .filter(|(doing, _)| matches!(doing, Doing::Head | Doing::Idle))
            .min_by_key(|(doing, place)| (*doing, place.number))
            .map(|(_, place)| Arc::clone(place))
    }

    fn end(&mut self, place: &Place) {
        let doing = place.doing();
        // A request that has come just now is served.
        if matches!(doing, Doing::Head | Doing::Idle) && place.becomes(doing, Doing::Ended) {
            place.ended.cancel();
            self.remove(place);
        }
    }

    fn remove(&mut self, place: &Place) {
        if self.places.remove(&place.number).is_none() {
            return;
        }
        for (network, _) in &place.networks {
            if let Some(held) = self.networks.get_mut(network) {
                *held -= 1;
                if *held == 0 {
                    self.networks.remove(network);
                }
            }
        }
    }
}

impl Place {
    pub(crate) fn doing(&self) -> Doing {
        Doing::of(self.doing.load(Ordering::Acquire))
    }

    fn becomes(&self, from: Doing, to: Doing) -> bool {
        let (from, to) = (from.number(), to.number());
        let changed = self
            .doing
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }

    /// A byte has come after a pause.
    pub(crate) fn begins_head(&self) {
        self.becomes(Doing::Idle, Doing::Head);
    }

    /// Counts bytes of a head; false where there are too many of all connections together.
    pub(crate) fn holds(&self, bytes: usize) -> bool {
        self.head_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.places.head_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= HEADS
    }

    fn holds_no_head(&self) {
        let bytes = self.head_bytes.swap(0, Ordering::Relaxed);
        self.places.head_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A head is there. False where the connection has ended meanwhile.
    pub(super) fn begins_work(&self) -> bool {
        self.holds_no_head();
        // Or there would be no next request.
        self.leaves_unread.store(false, Ordering::Relaxed);
        self.turns(|doing| match doing {
            Doing::Head | Doing::Idle => Some(Doing::Work(1)),
            Doing::Work(requests) => Some(Doing::Work(requests + 1)),
            Doing::Ended => None,
        })
    }

    /// The answer of one is written, or was given up.
    pub(super) fn ends_work(&self) {
        self.turns(|doing| match doing {
            Doing::Work(requests) if requests > 1 => Some(Doing::Work(requests - 1)),
            Doing::Work(_) => Some(Doing::Idle),
            Doing::Head | Doing::Idle | Doing::Ended => None,
        });
        if self.doing() == Doing::Idle {
            self.places.freed.notify_waiters();
        }
    }

    fn turns(&self, next: impl Fn(Doing) -> Option<Doing>) -> bool {
        let turned = self
            .doing
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |number| {
                next(Doing::of(number)).map(Doing::number)
            });
        turned.is_ok()
    }
}

/// Holds the place of a connection.
#[derive(Debug)]
pub(crate) struct Seat(pub(crate) Arc<Place>);

impl Drop for Seat {
    fn drop(&mut self) {
        let Self(place) = self;
        place.holds_no_head();
        let places = &place.places;
        places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(place);
        places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn places(max: usize, max_per_address: usize) -> Arc<Places> {
        Places::new(Bounds {
            max,
            max_per_address,
            exempt_loopback: false,
        })
    }

    fn take(places: &Arc<Places>, peer: &str) -> Option<Seat> {
        places.take(peer.parse().unwrap()).ok()
    }

    #[test]
    fn who_waits_makes_room_for_others_of_its_address_and_nobody_else_does() {
        let places = places(100, 2);
        let other = take(&places, "192.0.2.9").unwrap();
        let first = take(&places, "192.0.2.1").unwrap();
        let second = take(&places, "192.0.2.1").unwrap();
        assert!(second.0.begins_work());
        let third = take(&places, "192.0.2.1").unwrap();
        assert!(first.0.ended.is_cancelled() && !first.0.begins_work());
        assert!(third.0.begins_work());
        assert!(take(&places, "192.0.2.1").is_none(), "all are at work");
        assert!(!other.0.ended.is_cancelled() && !second.0.ended.is_cancelled());
        drop(second);
        assert!(take(&places, "192.0.2.1").is_some());
    }

    #[test]
    fn an_unfinished_head_goes_before_a_connection_that_was_of_use() {
        let places = places(2, 100);
        let idle = take(&places, "192.0.2.1").unwrap();
        idle.0.begins_work();
        idle.0.ends_work();
        let head = take(&places, "192.0.2.2").unwrap();
        let newcomer = take(&places, "192.0.2.3").unwrap();
        assert!(head.0.ended.is_cancelled() && !idle.0.ended.is_cancelled());
        newcomer.0.begins_work();
        let _another = take(&places, "192.0.2.4").unwrap();
        assert!(idle.0.ended.is_cancelled());
    }

    #[test]
    fn a_connection_waits_only_when_the_last_of_its_requests_has_ended() {
        let places = places(1, 10);
        let seat = take(&places, "192.0.2.1").unwrap();
        assert!(seat.0.begins_work() && seat.0.begins_work());
        seat.0.ends_work();
        assert_eq!(seat.0.doing(), Doing::Work(1));
        assert!(take(&places, "192.0.2.2").is_none());
        seat.0.ends_work();
        assert!(take(&places, "192.0.2.2").is_some() && seat.0.ended.is_cancelled());
        assert!(!seat.0.begins_work());
    }

    #[test]
    fn larger_networks_have_a_few_times_as_much() {
        let places = places(1_000, 10);
        let busy = |network: String| {
            let seat = take(&places, &network);
            assert!(seat.as_ref().is_none_or(|seat| seat.0.begins_work()));
            seat
        };
        // Each of another /64 of one /56, then of another /56 of one /48.
        let of_56: Vec<_> = (0..30)
            .filter_map(|n| busy(format!("2001:db8:0:{n:x}::1")))
            .collect();
        assert_eq!(of_56.len(), 20);
        let of_48: Vec<_> = (1..30)
            .filter_map(|n| busy(format!("2001:db8:0:{:x}::1", n << 8)))
            .collect();
        assert_eq!(of_48.len(), 10);
        assert!(busy("2001:db8:1::1".to_owned()).is_some());
        drop((of_56, of_48));
        assert!(places.taken.lock().unwrap().networks.is_empty());
    }

    #[test]
    fn heads_are_bounded_together() {
        let places = places(10, 10);
        let one = take(&places, "192.0.2.1").unwrap();
        assert!(one.0.holds(HEADS));
        let other = take(&places, "192.0.2.2").unwrap();
        assert!(!other.0.holds(1));
        assert!(one.0.begins_work());
        drop(other);
        assert!(take(&places, "192.0.2.2").unwrap().0.holds(HEADS));
    }
}
