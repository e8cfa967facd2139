//! How often a client may ask. A client is an account, or without a token an address; an IPv6 client has a whole /64.
//! What is limited is the rate in the long run, with a burst on top (GCRA, by governor).

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZero,
    sync::Arc,
    time::Duration,
};

use axum::http::HeaderMap;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{RateLimit, Rates},
    proxies::TrustedProxies,
};

/// How often clients are forgotten that have not asked for so long that they may make a whole burst again.
const FORGET_INTERVAL: Duration = Duration::from_secs(30);

/// Who is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Whoever has a token of that account.
    Account(Uuid),
    /// Whoever comes from there without one.
    Address(IpAddr),
}

impl Client {
    /// Whoever comes from that address without a token.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

/// Counts the requests of every client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limiter {
    limits: Option<Arc<Limits>>,
    trusted_proxies: TrustedProxies,
}

#[derive(Debug)]
struct Limits {
    requests: DefaultKeyedRateLimiter<Client>,
    logins: DefaultKeyedRateLimiter<Client>,
    clock: DefaultClock,
}

impl Limiter {
    /// As configured.
    pub fn new(rates: &Rates) -> Self {
        let per_second = Quota::per_second(at_least_one(rates.rate_limit_per_second));
        let per_minute = Quota::per_minute(at_least_one(rates.rate_limit_auth_per_minute));
        let limits = (rates.rate_limit == RateLimit::On).then(|| {
            Arc::new(Limits {
                requests: RateLimiter::keyed(per_second.allow_burst(at_least_one(rates.rate_limit_burst))),
                logins: RateLimiter::keyed(per_minute.allow_burst(at_least_one(rates.rate_limit_auth_burst))),
                clock: DefaultClock::default(),
            })
        });
        Self {
            limits,
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

    /// Counts a request; an error says in how many seconds to come back.
    pub fn count_request(&self, client: Client) -> Result<(), u64> {
        self.limits
            .as_ref()
            .map_or(Ok(()), |limits| limits.count(&limits.requests, client))
    }

    /// Counts an attempt to log in, register or refresh.
    pub fn count_login(&self, client: Client) -> Result<(), u64> {
        self.limits
            .as_ref()
            .map_or(Ok(()), |limits| limits.count(&limits.logins, client))
    }

    /// Forgets clients that have not asked for long, until shutdown.
    pub async fn forget(self, shutdown: CancellationToken) {
        while shutdown
            .run_until_cancelled(tokio::time::sleep(FORGET_INTERVAL))
            .await
            .is_some()
        {
            if let Some(limits) = &self.limits {
                for limiter in [&limits.requests, &limits.logins] {
                    limiter.retain_recent();
                    limiter.shrink_to_fit();
                }
            }
        }
    }
}

impl Limits {
    fn count(&self, limiter: &DefaultKeyedRateLimiter<Client>, client: Client) -> Result<(), u64> {
        limiter.check_key(&client).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            // Rounded up: whoever comes back then is served.
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

fn at_least_one(number: u32) -> NonZero<u32> {
    NonZero::new(number).unwrap_or(NonZero::<u32>::MIN)
}

/// The address that counts as one client.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::Config;

    fn limiter(flags: &[&str]) -> Limiter {
        let flags = std::iter::once(&"api-gateway").chain(flags);
        Limiter::new(&Config::try_parse_from(flags).unwrap().rates)
    }

    fn address(text: &str) -> Client {
        Client::Address(text.parse().unwrap())
    }

    #[test]
    fn a_client_that_asks_too_often_waits_and_others_do_not() {
        let limiter = limiter(&["--rate-limit-burst=3", "--rate-limit-auth-burst=1"]);
        let (one, other) = (address("192.0.2.1"), Client::Account(Uuid::now_v7()));
        for _ in 0..3 {
            assert_eq!(limiter.count_request(one), Ok(()));
        }
        assert_eq!(limiter.count_request(one), Err(1));
        assert_eq!(limiter.count_request(other), Ok(()));
        assert_eq!(limiter.count_login(one), Ok(()));
        assert!(matches!(limiter.count_login(one), Err(1..=2)));
    }

    #[test]
    fn limits_can_be_off() {
        let limiter = limiter(&["--rate-limit=off", "--rate-limit-burst=1"]);
        assert!((0..1_000).all(|_| limiter.count_request(address("192.0.2.1")).is_ok()));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let limiter = limiter(&[]);
        let of = |text: &str| Client::at(limiter.origin(text.parse().unwrap(), &HeaderMap::new()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
