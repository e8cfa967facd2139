//! How much the gateway lets in: requests at work at once, the time that each may take, and each client's rate.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;

use super::{Api, caller::Identity, probes};
use crate::problem::Problem;

/// Serves a request within the time limit and the bound on requests at work; a panic is this request's alone. A stream
/// counts until it begins.
pub(super) async fn bound(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Ok(_at_work) = api.at_work.try_acquire() else {
        return Problem::overloaded().into_response();
    };
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
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

/// Refuses clients that ask too often. Probes are not counted.
pub(super) async fn limit_rate(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if probes::PATHS.contains(&path) {
        return next.run(request).await;
    }
    let Some(identity) = request.extensions().get::<Identity>() else {
        tracing::error!("a request has no identity");
        return Problem::internal().into_response();
    };
    let counted = if path.starts_with("/auth/") {
        api.limiter.count_login(identity.address())
    } else {
        api.limiter.count_request(identity.client())
    };
    match counted {
        Ok(()) => next.run(request).await,
        Err(seconds) => Problem::too_many_requests(seconds).into_response(),
    }
}
