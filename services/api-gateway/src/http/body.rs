//! Bodies: reading them whole and in time before a request gets a place at work, and no more of them than is allowed.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use futures::future::{Either, select};
use http_body_util::BodyExt as _;
use serde_json::value::RawValue;

use super::input::single;
use crate::{
    config::Limits,
    problem::Problem,
    rate_limit::Client,
    shares::{Full, Share, Shares},
};

/// So much of a body that is too large is thrown away before the refusal: most clients read no answer before they have
/// sent everything, and would see a reset connection instead.
const THROWN_AWAY: usize = 16 * 1024 * 1024;
/// A body that is there by then was sent with the request, and is not counted as unfinished.
const AT_ONCE: Duration = Duration::from_millis(50);
/// So much room a body gets before any of it is there, however much it announces.
const ROOM: usize = 8 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const WANTED: &str =
    "send JSON in UTF-8, with `Content-Type: application/json` and without a Content-Encoding";

/// Bounds bodies that are sent slowly: how long each may take, and how many of them there may be, in all and from one
/// address. A request takes a place at work once its body is there, so these are all that slow senders can take.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    largest: usize,
    timeout: Duration,
    unfinished: Shares,
    of_one_address: usize,
}

impl Bodies {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            largest: limits.max_body_bytes,
            timeout: limits.body_timeout,
            unfinished: Shares::new(limits.max_unfinished_bodies),
            of_one_address: limits.max_unfinished_bodies_per_address,
        }
    }

    /// The whole body of a request from that address, if it is JSON as its headers say.
    pub(super) async fn receive(
        &self,
        headers: &HeaderMap,
        body: Body,
        address: IpAddr,
    ) -> Result<Bytes, Problem> {
        is_taken(headers)?;
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let waits = headers.contains_key(header::EXPECT);
        if waits && announced.is_some_and(|length| length > self.largest) {
            return Err(self.too_large());
        }
        let reading = std::pin::pin!(tokio::time::timeout(self.timeout, self.read(body, announced)));
        let at_once = std::pin::pin!(tokio::time::sleep(AT_ONCE));
        let read = match select(reading, at_once).await {
            Either::Left((read, _)) => read,
            Either::Right(((), reading)) => {
                let _place = self.place(address)?;
                reading.await
            }
        };
        read.unwrap_or_else(|_elapsed| {
            Err(Problem::request_timeout(
                "the body did not come in time; send it again, all of it",
            ))
        })
    }

    async fn read(&self, mut body: Body, announced: Option<usize>) -> Result<Bytes, Problem> {
        let mut bytes = Vec::with_capacity(announced.unwrap_or_default().min(ROOM));
        let mut received = 0_usize;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "incomplete-body",
                    "the body ended before its end",
                )
            })?;
            let Some(chunk) = frame.data_ref() else { continue };
            received = received.saturating_add(chunk.len());
            if received <= self.largest {
                bytes.extend_from_slice(chunk);
            } else if received > THROWN_AWAY {
                break;
            }
        }
        if received > self.largest {
            return Err(self.too_large());
        }
        Ok(bytes.into())
    }

    fn too_large(&self) -> Problem {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("a body may have at most {} bytes", self.largest),
        )
    }

    /// A place among those that are not there yet.
    fn place(&self, address: IpAddr) -> Result<Share, Problem> {
        let place = self
            .unfinished
            .take(&[(Client::Address(address), self.of_one_address)]);
        place.map_err(|full| match full {
            Full::All => Problem::overloaded(),
            Full::Client => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-unfinished-bodies",
                "too many bodies from this address are not there yet; send each in one go",
            ),
        })
    }
}

/// 415 unless the headers say that it is JSON, in UTF-8, as it is.
fn is_taken(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |name, value| {
        let problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            WANTED,
        );
        Err(problem.with_header(name, HeaderValue::from_static(value)))
    };
    // RFC 9110, 12.5.3: so the caller can tell that it is the coding that is refused.
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
    {
        return refused(header::ACCEPT_ENCODING, "identity");
    }
    let media_type = single(headers, &header::CONTENT_TYPE)
        .ok()
        .flatten()
        .unwrap_or_default();
    let mut parts = media_type.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let in_utf_8 = parts
        .filter_map(|parameter| parameter.split_once('='))
        .all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
    if is_json && in_utf_8 {
        Ok(())
    } else {
        refused(header::ACCEPT, "application/json")
    }
}

/// The JSON text that a body is; a byte order mark before it is passed over (RFC 8259, 8.1).
pub(super) fn json_text(body: &[u8]) -> Result<&RawValue, Problem> {
    let malformed = |detail: String| Err(Problem::new(StatusCode::BAD_REQUEST, "malformed-json", detail));
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            return malformed(format!(
                "the body is not UTF-8 from byte {} on",
                error.valid_up_to()
            ));
        }
    };
    match serde_json::from_str(text) {
        Ok(json) => Ok(json),
        Err(_) if text.trim().is_empty() => malformed("the body is empty, where JSON is expected".to_owned()),
        Err(error) if error.is_eof() => malformed("the body is not JSON: it ends too early".to_owned()),
        Err(error) => malformed(format!(
            "the body is not JSON: line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf_8_as_it_is_is_taken() {
        let taken = |media_type: &'static str, coding: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            if let Some(coding) = coding {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            is_taken(&headers).is_ok()
        };
        assert!(taken("application/json", None));
        assert!(taken("Application/JSON; Charset=\"UTF-8\"", Some("Identity")));
        assert!(!taken("application/json; charset=utf-16", None));
        assert!(!taken("application/json; charset=iso-8859-1", None));
        assert!(!taken("application/json", Some("gzip")));
        assert!(!taken("application/json", Some("identity, br")));
        assert!(!taken("text/plain", None));
        assert!(!taken("", None));
    }
}
