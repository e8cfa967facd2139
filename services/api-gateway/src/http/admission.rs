//! Who is let in, and how much: requests at work at once, the time that each may take, the caller's identity and rate.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;

use super::{
    Api,
    caller::{self, Identity},
    probes,
};
use crate::problem::Problem;

/// Serves a request of a caller who may ask, within the time limit and the bound on requests at work; a panic is this
/// request's alone. A stream counts until it begins.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Ok(_at_work) = api.at_work.try_acquire() else {
        return Problem::overloaded().into_response();
    };
    let answer = AssertUnwindSafe(serve(&api, request, next)).catch_unwind();
    match tokio::time::timeout(api.limits.request_timeout, answer).await {
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
