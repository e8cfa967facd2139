//! Which proxies are believed, and what they say of the client: `X-Forwarded-For` and `X-Forwarded-Proto`, or `Forwarded`
//! ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)).
//!
//! Every proxy adds the address that it was called from at the end; what stands before the entries of those that are
//! trusted can be made up by anybody. Where both headers come, one of them may be the client's own, passed on by a
//! proxy that knows only the other: they count only if they say the same.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Once,
};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The most proxies that can be counted.
const MOST: usize = 16;

/// The proxies that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxies {
    /// So many in front of this process, wherever they are; with 0 none.
    Count(usize),
    /// Those with an address in one of these networks.
    Networks(Vec<IpNet>),
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(count) = text.parse() {
            return if count <= MOST {
                Ok(Self::Count(count))
            } else {
                Err(format!("expected 0 to {MOST}, or networks"))
            };
        }
        text.split(',')
            .map(|network| {
                let network = network.trim();
                network
                    .parse::<IpNet>()
                    .or_else(|_| network.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| {
                        format!("expected a number or networks such as 10.0.0.0/8,fd00::/8, got {network}")
                    })
            })
            .collect::<Result<_, _>>()
            .map(Self::Networks)
    }
}

impl TrustedProxies {
    /// Where a request comes from: the peer, or what the outermost proxy that is trusted says of its own.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let (listed, forwarded) = (x_forwarded_for(headers), forwarded_for(headers));
        if listed.is_empty() && forwarded.is_empty() {
            return peer;
        }
        if !self.believe(peer) {
            ignored(peer);
            return peer;
        }
        match (listed.is_empty(), forwarded.is_empty()) {
            (_, true) => self.outermost(peer, &listed),
            (true, false) => self.outermost(peer, &forwarded),
            (false, false) => {
                let (listed, forwarded) = (self.outermost(peer, &listed), self.outermost(peer, &forwarded));
                if listed == forwarded { listed } else { peer }
            }
        }
    }

    /// Whether the client came by HTTPS, as a proxy that is trusted says.
    pub fn is_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        if !self.believe(peer.to_canonical()) {
            return false;
        }
        let listed = values(headers, &FORWARDED_PROTO).map(Some).collect::<Vec<_>>();
        let forwarded = elements(headers)
            .map(|element| parameter(element, "proto"))
            .collect::<Vec<_>>();
        // Of several the one that the outermost trusted proxy has written, and of one that one.
        let proto = |protos: &[Option<&str>]| {
            let at = match self {
                Self::Count(count) => protos.len().saturating_sub(*count),
                Self::Networks(_) => protos.len().saturating_sub(1),
            };
            protos
                .get(at)
                .copied()
                .flatten()
                .map(|proto| proto.eq_ignore_ascii_case("https"))
        };
        match (proto(&listed), proto(&forwarded)) {
            (Some(listed), Some(forwarded)) => listed && forwarded,
            (listed, forwarded) => listed.or(forwarded).unwrap_or(false),
        }
    }

    fn believe(&self, address: IpAddr) -> bool {
        match self {
            Self::Count(count) => *count > 0,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(&address)),
        }
    }

    /// The address that the outermost trusted proxy was called from, where the proxies have written these.
    fn outermost(&self, peer: IpAddr, addresses: &[Option<IpAddr>]) -> IpAddr {
        match self {
            Self::Count(count) => addresses
                .iter()
                .rev()
                .nth(count - 1)
                .copied()
                .flatten()
                .unwrap_or(peer),
            Self::Networks(_) => {
                let mut outermost = peer;
                for address in addresses.iter().rev() {
                    // What can't be read was written by who is believed, about somebody who can't be named.
                    let Some(address) = address else { break };
                    outermost = *address;
                    if !self.believe(*address) {
                        break;
                    }
                }
                outermost
            }
        }
    }
}

/// Tells once that there are proxies which nobody has said are trusted: all their clients count as one.
fn ignored(peer: IpAddr) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            %peer,
            "X-Forwarded-For or Forwarded is ignored: its sender is none of TRUSTED_PROXIES; told once"
        );
    });
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    values(headers, &FORWARDED_FOR).map(address).collect()
}

/// The elements of `Forwarded`. Commas in quotes do not occur in what is read of it.
fn elements(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    values(headers, &header::FORWARDED)
}

fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    elements(headers)
        .map(|element| address(parameter(element, "for")?))
        .collect()
}

/// A parameter of an element of `Forwarded`, without its quotes.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

/// An address as proxies write it: with a port or without, IPv6 in brackets or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .or_else(|_| text.parse().map(|address: SocketAddr| address.ip()))
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn seen(trusted: &str, peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), &headers(lines)).to_string()
    }

    #[test]
    fn so_many_proxies_are_believed() {
        let lines = [
            ("x-forwarded-for", "198.51.100.7, 192.0.2.1"),
            ("x-forwarded-for", "10.0.0.9"),
        ];
        for (trusted, expected) in [
            ("0", "10.0.0.1"),
            ("1", "10.0.0.9"),
            ("2", "192.0.2.1"),
            ("9", "10.0.0.1"),
        ] {
            assert_eq!(seen(trusted, "10.0.0.1", &lines), expected, "{trusted}");
        }
    }

    #[test]
    fn proxies_of_trusted_networks_are_believed_as_far_as_they_go() {
        let lines = [("x-forwarded-for", "203.0.113.5, 198.51.100.7, 10.1.2.3")];
        for (trusted, peer, expected) in [
            ("10.0.0.0/8", "10.0.0.1", "198.51.100.7"),
            ("10.0.0.0/8,198.51.100.7", "10.0.0.1", "203.0.113.5"),
            ("10.0.0.0/8", "192.0.2.9", "192.0.2.9"),
            ("fd00::/8, 127.0.0.0/8", "::ffff:127.0.0.1", "10.1.2.3"),
            ("0.0.0.0/0", "10.0.0.1", "203.0.113.5"),
        ] {
            assert_eq!(seen(trusted, peer, &lines), expected, "{trusted} {peer}");
        }
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("unknown", "10.0.0.1"),
        ] {
            assert_eq!(
                seen("1", "10.0.0.1", &[("x-forwarded-for", text)]),
                expected,
                "{text}"
            );
        }
        let forwarded = "for=203.0.113.5;proto=http, For=\"[2001:db8::1]:443\";by=_hidden;proto=https";
        let forwarded = [("forwarded", forwarded)];
        assert_eq!(seen("1", "10.0.0.1", &forwarded), "2001:db8::1");
        assert_eq!(seen("2", "10.0.0.1", &forwarded), "203.0.113.5");
    }

    #[test]
    fn two_headers_count_only_if_they_agree() {
        let both = |for_: &'static str, forwarded: &'static str| {
            seen(
                "1",
                "10.0.0.1",
                &[("x-forwarded-for", for_), ("forwarded", forwarded)],
            )
        };
        assert_eq!(both("192.0.2.1", "for=192.0.2.1"), "192.0.2.1");
        assert_eq!(both("192.0.2.1", "for=198.51.100.7"), "10.0.0.1");
    }

    #[test]
    fn https_is_what_a_trusted_proxy_says() {
        let is_https = |trusted: &str, lines: &[(&'static str, &'static str)]| {
            let trusted: TrustedProxies = trusted.parse().unwrap();
            trusted.is_https("10.0.0.1".parse().unwrap(), &headers(lines))
        };
        assert!(is_https("1", &[("x-forwarded-proto", "https")]));
        assert!(is_https(
            "10.0.0.0/8",
            &[("forwarded", "for=192.0.2.1;proto=HTTPS")]
        ));
        assert!(!is_https("1", &[("x-forwarded-proto", "http")]));
        assert!(!is_https("1", &[]));
        assert!(
            !is_https("0", &[("x-forwarded-proto", "https")]),
            "anybody can say so"
        );
        assert!(!is_https("192.0.2.0/24", &[("x-forwarded-proto", "https")]));
        assert!(!is_https("1", &[("x-forwarded-proto", "https, http")]));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["17", "10.0.0.0/33", "proxy.example", "", "10.0.0.0/8,"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
    }
}
