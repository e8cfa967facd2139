//! What is answered where a path or a method is not known, and to browsers that ask whether they may call.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tower::{Layer as _, Service as _};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Api, telemetry};
use crate::problem::Problem;

/// 404. A path with a slash at its end is another path, and nothing is there; who wrote it by mistake is told.
pub(super) async fn unknown_route(uri: Uri) -> Problem {
    let path = uri.path();
    let without = path.trim_end_matches('/');
    if without.is_empty() || without.len() == path.len() || without.len() > 100 {
        Problem::not_found("there is nothing at this path; the API is described at /openapi.json")
    } else {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is nothing at this path; no path ends in a slash, perhaps {without} is meant"),
        )
    }
}

/// What a route answers to a method that it does not have: which ones it has (RFC 9110, 10.2.1). OPTIONS asks for just
/// that.
pub(super) async fn other_method(
    State(api): State<Api>,
    route: Option<MatchedPath>,
    method: Method,
) -> Response {
    let mut allowed = route.map_or_else(Vec::new, |route| api.operations.methods(route.as_str()));
    if allowed.is_empty() {
        // What the document leaves out is there to be read.
        allowed.push("GET");
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allowed = [(header::ALLOW, allowed.join(","))];
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, allowed).into_response();
    }
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this path has other methods, see Allow",
    );
    (allowed, problem).into_response()
}

/// Lets the pages of other sites call where they may. What is no preflight request (Fetch, 3.2.2) is answered by the
/// route; every route has OPTIONS.
pub(super) async fn share(State(cors): State<Option<CorsLayer>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_options = request.method() == Method::OPTIONS && !is_preflight;
    match cors {
        Some(cors) if !is_options => match cors.layer(next).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        _ => next.run(request).await,
    }
}

/// For pages of these origins; none without any.
pub(super) fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    const KEY: HeaderName = HeaderName::from_static("idempotency-key");
    const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            KEY,
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            REPLAYED,
            telemetry::REQUEST_ID,
        ])
        .max_age(std::time::Duration::from_hours(1));
    Some(cors)
}
