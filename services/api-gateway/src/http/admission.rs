//! Who is let in, and how much: requests at work at once, the time that each may take, the caller's identity and rate.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;

use super::{
    Api,
    caller::{self, Identity},
    probes, telemetry,
};
use crate::problem::Problem;

/// Refuses a request whose path leads to a service that has as much to do as it can: before anything is read of it or
/// looked up for it, since a refusal that costs as much as an answer helps nobody. A browser's request from another site
/// needs headers that only the layers know ([`admit`] refuses it).
pub(super) fn refuse(api: &Api, head: &Parts) -> Option<Response> {
    if head.headers.contains_key(header::ORIGIN) || !api.backends.are_full(head.uri.path()) {
        return None;
    }
    Some(telemetry::refuse(head, Problem::overloaded()))
}

/// Serves a request of a caller who may ask, within the time limit and the bound on requests at work; a panic is this
/// request's alone. A stream counts until it begins, and a probe not at all: it is answered when nothing else is.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let at_work = if probes::PATHS.contains(&path) {
        None
    } else {
        match api.at_work.try_acquire() {
            Ok(place) if !api.backends.are_full(path) => Some(place),
            _ => return Problem::overloaded().into_response(),
        }
    };
    let answer = AssertUnwindSafe(serve(&api, request, next)).catch_unwind();
    let answer = tokio::time::timeout(api.limits.request_timeout, answer).await;
    drop(at_work);
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!("a handler panicked");
            Problem::internal().into_response()
        }
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "the answer took too long; what was asked may or may not be done",
        )
        .into_response(),
    }
}

async fn serve(api: &Api, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let identity = caller::identify(api, &parts.headers, &parts.extensions).await;
    if let Err(seconds) = count(api, parts.uri.path(), &identity) {
        return Problem::too_many_requests(seconds).into_response();
    }
    parts.extensions.insert(identity);
    next.run(Request::from_parts(parts, body)).await
}

/// Refuses clients that ask too often, with the seconds until they may. Probes are not counted.
fn count(api: &Api, path: &str, identity: &Identity) -> Result<(), u64> {
    if probes::PATHS.contains(&path) {
        Ok(())
    } else if path.starts_with("/auth/") {
        api.limiter.count_login(identity.address())
    } else {
        api.limiter.count_request(identity.client())
    }
}
