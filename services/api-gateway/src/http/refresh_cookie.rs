//! The refresh token as a cookie, for the pages: a script that somebody has got into a page can't read it, as it could what
//! is in an answer or in the browser's storage. Programs have it in the answer.
//!
//! Over HTTPS its name begins with `__Host-`, so that no other host under the same domain can set or see it; browsers take
//! such a name only with `Secure`, without `Domain` and with `Path=/` ([RFC 6265bis, 4.1.3.2][prefix]). Over plain HTTP,
//! which is for trying the shop out on this machine, they refuse that, and it has another name, and goes to `/auth` alone.
//!
//! A cookie is sent whoever made the browser ask, so it counts only for pages of this very origin: `SameSite=Strict` says so
//! to the browser, and what the browser says of the request ([Fetch Metadata][fetch] and `Origin`) is checked beside it,
//! as another port of this host, or another host of the domain, is the same *site*.
//!
//! [prefix]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2
//! [fetch]: https://www.w3.org/TR/fetch-metadata/

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
};

use super::{Api, caller, pages};
use crate::problem::Problem;

const BY_HTTPS: &str = "__Host-refresh";
const BY_HTTP: &str = "refresh";
/// As long as a session can last where nothing else is configured. The token itself may be good for less.
const MAX_AGE: u32 = 90 * 24 * 60 * 60;

/// Headers of an answer that changes the cookie.
pub(super) type SetCookie = Option<[(HeaderName, HeaderValue); 1]>;

/// A request with its cookie, or for one.
#[derive(Clone, Debug)]
pub(super) struct RefreshCookie {
    token: Option<String>,
    by_https: bool,
    of_this_origin: bool,
}

impl RefreshCookie {
    /// The token that came as a cookie; none where there is no cookie. An error is a request that another origin made.
    pub(super) fn token(&self) -> Result<Option<&str>, Problem> {
        match &self.token {
            Some(token) => self.may_be_used().map(|()| Some(token.as_str())),
            None => Ok(None),
        }
    }

    /// Refuses what a page of another origin has made the browser send.
    pub(super) fn may_be_used(&self) -> Result<(), Problem> {
        if self.of_this_origin {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "cross-site-request",
                "the cookie is for pages of this very origin; send the refresh token in the body",
            ))
        }
    }

    /// Has the browser keep that token.
    pub(super) fn keep(&self, token: &str) -> Result<SetCookie, Problem> {
        self.set(token, MAX_AGE)
    }

    /// Has the browser forget it, where it has one.
    pub(super) fn forget(&self) -> Result<SetCookie, Problem> {
        if self.token.is_some() && self.of_this_origin {
            self.set("", 0)
        } else {
            Ok(None)
        }
    }

    fn set(&self, token: &str, max_age: u32) -> Result<SetCookie, Problem> {
        let (name, bounds) = if self.by_https {
            (BY_HTTPS, "Path=/; Secure")
        } else {
            (BY_HTTP, "Path=/auth")
        };
        let cookie = format!("{name}={token}; {bounds}; HttpOnly; SameSite=Strict; Max-Age={max_age}");
        let mut cookie = HeaderValue::try_from(cookie).map_err(|_| Problem::internal())?;
        cookie.set_sensitive(true);
        Ok(Some([(header::SET_COOKIE, cookie)]))
    }
}

impl FromRequestParts<Api> for RefreshCookie {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let of_this_origin = is_of_this_origin(headers);
        // Where no proxy is trusted to say so, the browser does: nobody else can send its `Origin` for it.
        let by_https = api.limiter.is_https(caller::peer(&parts.extensions), headers)
            || of_this_origin && origin(headers).is_some_and(|origin| origin.starts_with("https://"));
        let name = if by_https { BY_HTTPS } else { BY_HTTP };
        Ok(Self {
            token: pages::cookie(headers, name)
                .filter(|token| !token.is_empty())
                .map(str::to_owned),
            by_https,
            of_this_origin,
        })
    }
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

/// Whether a page of this host and port has made the request. A browser that does not say it in `Sec-Fetch-Site` says it in
/// `Origin`; who sends neither is no page.
fn is_of_this_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    origin(headers)
        .and_then(|origin| origin.split_once("://"))
        .zip(host)
        .is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made_here(lines: &[(&'static str, &'static str)]) -> bool {
        let headers = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        is_of_this_origin(&headers)
    }

    #[test]
    fn a_request_is_of_this_origin_if_the_browser_says_so() {
        let host = ("host", "shop.example:8080");
        assert!(made_here(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(made_here(&[host, ("origin", "http://shop.example:8080")]));
        for line in [
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "none"),
            ("origin", "http://shop.example:8081"),
            ("origin", "http://shop.example"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("accept", "*/*"),
        ] {
            assert!(!made_here(&[host, line]), "{line:?}");
        }
        let said_by_both = [
            host,
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://shop.example:8080"),
        ];
        assert!(
            !made_here(&said_by_both),
            "a browser's own word is the stronger one"
        );
    }

    #[test]
    fn a_browser_takes_the_cookie_that_it_is_sent() {
        let cookie = |by_https| {
            let cookie = RefreshCookie {
                token: None,
                by_https,
                of_this_origin: true,
            };
            let [(_, value)] = cookie.keep("t").unwrap().unwrap();
            value.to_str().unwrap().to_owned()
        };
        let by_https = cookie(true);
        assert!(by_https.starts_with("__Host-refresh=t; Path=/; Secure; HttpOnly; SameSite=Strict"));
        assert!(!by_https.contains("Domain"), "__Host- allows none");
        let by_http = cookie(false);
        assert!(by_http.starts_with("refresh=t; Path=/auth; HttpOnly; SameSite=Strict"));
    }
}
