//! How often a client may ask. A client is an account, or without a token an address; an IPv6 client has a whole /64, and
//! the /56 and /48 around it are counted too.
//! What is limited is the rate in the long run, with a burst on top (GCRA, by governor).
//!
//! Where there are several gateways each grants its share, and twice as much: with `n` of them a client has `2/n` of
//! its allowance at each. So it never has more than twice the allowance in all; and with up to four of them at least half
//! of it at any single one, to which a connection that lasts may keep it.

use std::{net::IpAddr, num::NonZero, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use chassis::connections::{Network, networks};
use governor::{
    DefaultKeyedRateLimiter, InsufficientCapacity, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{RateLimit, Rates},
    proxies::TrustedProxies,
    replicas::Replicas,
};

/// How often clients are forgotten that have not asked for so long that they may make a whole burst again.
const FORGET_INTERVAL: Duration = Duration::from_secs(30);
/// What one request takes of a client's allowance. The whole of it for a small network, a half and a third for the
/// larger ones around it, so that these have twice and three times as much by the same count.
const REQUEST: u32 = 12;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Whoever has a token of that account.
    Account(Uuid),
    /// Whoever comes from there without one.
    Address(IpAddr),
}

/// Who is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// An account, wherever it is used from.
    Account(Uuid),
    /// The addresses of one customer of a provider, as far as addresses tell.
    Network(Network),
}

/// Counts the requests of every client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limiter {
    limits: Option<Arc<Limits>>,
    replicas: Replicas,
    trusted_proxies: TrustedProxies,
}

#[derive(Debug)]
struct Limits {
    requests: DefaultKeyedRateLimiter<Counted>,
    logins: DefaultKeyedRateLimiter<Counted>,
    orders: DefaultKeyedRateLimiter<Counted>,
    clock: DefaultClock,
}

impl Client {
    /// As whom it is counted, each with how many times as much as one client that one may have.
    pub fn counted(self) -> impl Iterator<Item = (Counted, u32)> {
        let (account, address) = match self {
            Self::Account(account) => (Some((Counted::Account(account), 1)), None),
            Self::Address(address) => (None, Some(address)),
        };
        let networks = address.into_iter().flat_map(networks);
        account
            .into_iter()
            .chain(networks.map(|(network, factor)| (Counted::Network(network), factor)))
    }
}

impl Limiter {
    /// As configured, for one of so many.
    pub fn new(rates: &Rates, replicas: Replicas) -> Self {
        let limits = (rates.rate_limit == RateLimit::On).then(|| {
            let per_second = Quota::per_second(units(rates.rate_limit_per_second));
            let per_minute = Quota::per_minute(units(rates.rate_limit_auth_per_minute));
            let per_hour = Quota::per_hour(units(rates.rate_limit_orders_per_hour));
            Arc::new(Limits {
                requests: RateLimiter::keyed(per_second.allow_burst(units(rates.rate_limit_burst))),
                logins: RateLimiter::keyed(per_minute.allow_burst(units(rates.rate_limit_auth_burst))),
                orders: RateLimiter::keyed(per_hour),
                clock: DefaultClock::default(),
            })
        });
        Self {
            limits,
            replicas,
            trusted_proxies: rates.trusted_proxies.clone(),
        }
    }

    /// Where a request comes from: the peer, or what the outermost proxy that is trusted says of its own.
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.trusted_proxies.client(peer, headers).to_canonical()
    }

    /// Whether the client came by HTTPS, as far as a proxy that is trusted says.
    pub fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.trusted_proxies.is_https(peer, headers)
    }

    /// Counts what costs as much as that many requests; an error says in how many seconds to come back.
    pub fn count_requests(&self, client: Client, requests: u32) -> Result<(), u64> {
        self.count(|limits| &limits.requests, client, requests)
    }

    /// Counts an attempt to log in, register or refresh, or to give a password.
    pub fn count_login(&self, address: IpAddr) -> Result<(), u64> {
        self.count(|limits| &limits.logins, Client::Address(address), 1)
    }

    /// Counts an order that an account wants to place.
    pub fn count_order(&self, account: Uuid) -> Result<(), u64> {
        self.count(|limits| &limits.orders, Client::Account(account), 1)
    }

    /// Forgets clients that have not asked for long, until shutdown.
    pub async fn forget(self, shutdown: CancellationToken) {
        while shutdown
            .run_until_cancelled(tokio::time::sleep(FORGET_INTERVAL))
            .await
            .is_some()
        {
            if let Some(limits) = &self.limits {
                for limiter in [&limits.requests, &limits.logins, &limits.orders] {
                    limiter.retain_recent();
                    limiter.shrink_to_fit();
                }
            }
        }
    }

    fn count(
        &self,
        which: fn(&Limits) -> &DefaultKeyedRateLimiter<Counted>,
        client: Client,
        requests: u32,
    ) -> Result<(), u64> {
        let Some(limits) = self.limits.as_ref().filter(|_| requests > 0) else {
            return Ok(());
        };
        let units = REQUEST.saturating_mul(requests);
        let units = units.saturating_mul(self.replicas.count().max(2)) / 2;
        // The smallest network first: what is refused to it takes nothing from its neighbours.
        client
            .counted()
            .try_for_each(|(counted, factor)| limits.take(which(limits), counted, units / factor))
    }
}

impl Limits {
    fn take(
        &self,
        limiter: &DefaultKeyedRateLimiter<Counted>,
        counted: Counted,
        units: u32,
    ) -> Result<(), u64> {
        let units = NonZero::new(units).unwrap_or(NonZero::<u32>::MIN);
        let until = match limiter.check_key_n(&counted, units) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => until.wait_time_from(self.clock.now()),
            // More than there is of it at any time: it takes all.
            Err(InsufficientCapacity(all)) => {
                let all = NonZero::new(all).unwrap_or(NonZero::<u32>::MIN);
                match limiter.check_key_n(&counted, all) {
                    Ok(Err(until)) => until.wait_time_from(self.clock.now()),
                    Ok(Ok(())) | Err(_) => return Ok(()),
                }
            }
        };
        // Rounded up: whoever comes back then is served.
        Err(until.as_secs() + u64::from(until.subsec_nanos() > 0))
    }
}

fn units(requests: u32) -> NonZero<u32> {
    NonZero::new(requests.saturating_mul(REQUEST)).unwrap_or(NonZero::<u32>::MIN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::Config;

    fn limiter(flags: &[&str]) -> Limiter {
        let flags = std::iter::once(&"api-gateway").chain(flags);
        Limiter::new(&Config::try_parse_from(flags).unwrap().rates, Replicas::default())
    }

    fn address(text: &str) -> Client {
        Client::Address(text.parse().unwrap())
    }

    #[test]
    fn a_client_that_asks_too_often_waits_and_others_do_not() {
        let limiter = limiter(&["--rate-limit-burst=3", "--rate-limit-auth-burst=1"]);
        let (one, other) = (address("192.0.2.1"), Client::Account(Uuid::now_v7()));
        for _ in 0..3 {
            assert_eq!(limiter.count_requests(one, 1), Ok(()));
        }
        assert_eq!(limiter.count_requests(one, 1), Err(1));
        assert_eq!(limiter.count_requests(other, 1), Ok(()));
        let one = "192.0.2.1".parse().unwrap();
        assert_eq!(limiter.count_login(one), Ok(()));
        assert!(matches!(limiter.count_login(one), Err(1..=2)));
    }

    #[test]
    fn limits_can_be_off() {
        let limiter = limiter(&["--rate-limit=off", "--rate-limit-burst=1"]);
        assert!((0..1_000).all(|_| limiter.count_requests(address("192.0.2.1"), 1).is_ok()));
    }

    #[test]
    fn what_costs_more_is_counted_more() {
        let limiter = limiter(&["--rate-limit-burst=10"]);
        let client = Client::Account(Uuid::now_v7());
        assert_eq!(limiter.count_requests(client, 7), Ok(()));
        assert_eq!(limiter.count_requests(client, 3), Ok(()));
        assert_eq!(limiter.count_requests(client, 1), Err(1));
    }

    #[test]
    fn many_networks_of_one_customer_are_one_customer() {
        let limiter = limiter(&["--rate-limit-auth-burst=10", "--rate-limit-auth-per-minute=1"]);
        let granted = |network: fn(u32) -> String| {
            let addresses = (0..120).map(|n| network(n).parse().unwrap());
            addresses
                .filter(|address| limiter.count_login(*address).is_ok())
                .count()
        };
        assert_eq!(granted(|n| format!("192.0.2.{n}")), 120);
        // Each from another /64: of one /56, then of others of one /48, which has had 20 already.
        assert_eq!(granted(|n| format!("2001:db8:0:{n:x}::1")), 20);
        assert_eq!(granted(|n| format!("2001:db8:0:{:x}::1", (n + 1) << 8)), 10);
        assert_eq!(granted(|n| format!("2001:db8:1{n:02x}::1")), 120);
    }

    #[test]
    fn all_gateways_together_grant_no_more_than_twice_as_much() {
        let account = Client::Account(Uuid::now_v7());
        for count in [1, 2, 3, 4, 8] {
            let granted = |of: &Limiter| (0..500).filter(|_| of.count_requests(account, 1).is_ok()).count();
            let gateways: Vec<_> = (0..count)
                .map(|_| {
                    let limiter = limiter(&["--rate-limit-burst=120", "--rate-limit-per-second=1"]);
                    limiter.replicas.found(count);
                    limiter
                })
                .collect();
            let of_each: Vec<usize> = gateways.iter().map(granted).collect();
            let in_all: usize = of_each.iter().sum();
            assert!((120..=250).contains(&in_all), "{count}: {in_all}");
            assert!(count > 4 || of_each[0] >= 60, "{count}: {of_each:?}");
        }
    }

    #[test]
    fn an_account_places_so_many_orders_an_hour() {
        let limiter = limiter(&["--rate-limit-orders-per-hour=3"]);
        let account = Uuid::now_v7();
        let placed = (0..5).filter(|_| limiter.count_order(account).is_ok()).count();
        assert_eq!(placed, 3);
        assert!(matches!(limiter.count_order(account), Err(1_100..=1_200)));
        assert_eq!(limiter.count_order(Uuid::now_v7()), Ok(()));
    }
}
