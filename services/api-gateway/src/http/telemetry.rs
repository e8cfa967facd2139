//! The span and the duration of each request, after the semantic conventions for HTTP servers, and the headers that
//! every answer has.
//!
//! **Every request is a trace of its own.** A caller's `traceparent` becomes a link, never the parent: otherwise
//! anybody would decide under which ids the shop's spans are exported, and whether they are. That holds behind a trusted
//! proxy too (`TRUSTED_PROXIES`), since a proxy passes on what its own caller sent. The caller's `tracestate` stays with
//! the link, bounded, and goes no further.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use chassis::telemetry::{
    DURATION_BOUNDARIES, meter,
    trace::{self, Scope},
};
use opentelemetry::{KeyValue, metrics::Histogram};
use proto::trace::TraceContext;
use tracing::{Span, field::Empty};
use uuid::Uuid;

use super::{Api, caller};
use crate::problem::Problem;

/// Names a request for its sender; one that the sender chose is kept.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;
/// For a year (RFC 6797). Only of this host: what else there is under its name is not ours to say.
const ONLY_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    meter()
        .f64_histogram("http.server.request.duration")
        .with_description("Time from a request to its answer, by method, route and status.")
        .with_unit("s")
        .with_boundaries(DURATION_BOUNDARIES.to_vec())
        .build()
});

/// Those that nobody can serve come by the thousand, just when there is no time to write of each.
static UNAVAILABLE: Seldom = Seldom(Mutex::new((None, 0)));

/// Writes one line a second, which says how many others there were since the last.
struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    const PAUSE: Duration = Duration::from_secs(1);

    fn write(&self, now: Instant, line: impl FnOnce(u64)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, others) = &mut *kept;
        if last.is_some_and(|last| now.saturating_duration_since(last) < Self::PAUSE) {
            *others += 1;
            return;
        }
        *last = Some(now);
        let others = std::mem::take(others);
        drop(kept);
        line(others);
    }
}

/// The outermost layer.
pub(super) async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let exchange = Exchange::begin(&api, &head);
    let response = next.run(Request::from_parts(head, body));
    let response = exchange.scope.enter(response).await;
    exchange.end(response)
}

/// The same for a request that is refused before it comes to any layer, and to a route.
pub(super) fn refuse(api: &Api, head: &Parts, refusal: Problem) -> Response {
    let exchange = Exchange::begin(api, head);
    let response = exchange.scope.in_scope(|| refusal.into_response());
    exchange.end(response)
}

/// A request until it is answered.
struct Exchange {
    began: Instant,
    method: &'static str,
    route: Option<MatchedPath>,
    request_id: HeaderValue,
    /// As the client sees it: a proxy may speak another to this process.
    scheme: &'static str,
    scope: Scope,
}

impl Exchange {
    fn begin(api: &Api, head: &Parts) -> Self {
        let (method, headers) = (method_name(&head.method), &head.headers);
        let route = head.extensions.get::<MatchedPath>().cloned();
        let named = route.as_ref().map(MatchedPath::as_str);
        let is_https = api.limiter.is_https(caller::peer(&head.extensions), headers);
        let scheme = if is_https { "https" } else { "http" };
        Self {
            began: Instant::now(),
            method,
            request_id: request_id(headers),
            scope: Scope::root(|| span(method, scheme, &head.uri, headers, named)),
            scheme,
            route,
        }
    }

    fn end(self, mut response: Response) -> Response {
        let (method, status) = (self.method, response.status());
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let span = self.scope.span();
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("error.type", status.as_str());
            span.record("otel.status_code", "ERROR");
            let failed = |others: u64| {
                let status = status.as_u16();
                self.scope
                    .in_scope(|| tracing::warn!(method, route, status, others, "a request failed"));
            };
            if status == StatusCode::SERVICE_UNAVAILABLE {
                UNAVAILABLE.write(self.began, failed);
            } else {
                failed(0);
            }
        }
        DURATION.record(
            self.began.elapsed().as_secs_f64(),
            &[
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route.unwrap_or_default().to_owned()),
                KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
                KeyValue::new("url.scheme", self.scheme),
            ],
        );
        protect(response.headers_mut(), self.request_id);
        if self.scheme == "https" {
            response
                .headers_mut()
                .insert(header::STRICT_TRANSPORT_SECURITY, ONLY_HTTPS);
        }
        response
    }
}

fn span(
    method: &'static str,
    scheme: &'static str,
    uri: &Uri,
    headers: &HeaderMap,
    route: Option<&str>,
) -> Span {
    let name = route.map(|route| format!("{method} {route}"));
    let span = tracing::info_span!(
        parent: None,
        "http",
        otel.name = name.as_deref().unwrap_or(method),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        url.path = uri.path(),
        url.scheme = scheme,
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    );
    trace::add_link(&span, &caller_context(headers));
    span
}

/// The context of a caller that is traced itself, if it says the truth.
fn caller_context(headers: &HeaderMap) -> TraceContext {
    trace::extract(|name| headers.get(name)?.to_str().ok())
}

/// The methods that the conventions know; anybody can make up others.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
    ];
    KNOWN
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("_OTHER")
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID);
    let given = given.filter(|id| !id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.to_str().is_ok());
    given.cloned().unwrap_or_else(|| {
        let id = Uuid::now_v7().to_string();
        // A UUID is always a header's value.
        HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("-"))
    })
}

/// What keeps a browser from doing more with an answer than it should. Pages set a policy of their own.
fn protect(headers: &mut HeaderMap, request_id: HeaderValue) {
    headers.insert(REQUEST_ID, request_id);
    let media_type = headers.get(header::CONTENT_TYPE);
    if media_type.is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/event-stream")) {
        // A proxy that waits for more before it passes on what it has would hold back events.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_by_the_thousand_is_written_once_a_second_with_its_number() {
        let seldom = Seldom(Mutex::new((None, 0)));
        let (begin, mut lines) = (Instant::now(), Vec::new());
        for millis in (0..2_500).step_by(2) {
            seldom.write(begin + Duration::from_millis(millis), |others| lines.push(others));
        }
        assert_eq!(lines, [0, 499, 499]);
    }
}
