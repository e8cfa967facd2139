//! The API over HTTP: a file per resource, and what every request goes through.
//!
//! From the outside in: the gate, which refuses what can't be served ([`admission`]), a span and a duration
//! ([`telemetry`]), headers, CORS, preconditions
//! ([`conditional`]) and compression, a bound on requests at work, a time limit, the caller's identity
//! ([`caller`]) and rate (all in [`admission`]), then the handler, which reads its input strictly ([`input`]).

mod admission;
mod auth;
mod body;
mod caller;
mod categories;
mod conditional;
mod docs;
mod input;
mod list;
mod open_enum;
mod order_events;
mod orders;
mod probes;
mod products;
mod stock;
mod telemetry;
mod timestamp;
mod users;
mod vocabulary;

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
};
use chassis::{health::Health, http::Gate};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::{
    compression::CompressionLayer,
    cors::{AllowOrigin, CorsLayer},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Config, backends::Backends, config::Limits, problem::Problem, rate_limit::Limiter, token::Verifier,
};

/// What handlers and layers work with. Cheap to clone: each request does, several times.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

/// The same, once.
pub struct Inner {
    backends: Backends,
    verifier: Arc<Verifier>,
    limiter: Limiter,
    health: Health,
    limits: Limits,
    at_work: Arc<Semaphore>,
    event_streams: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Api {
    /// `shutdown` ends the streams that would keep the service from stopping.
    pub fn new(
        backends: Backends,
        verifier: Arc<Verifier>,
        limiter: Limiter,
        health: Health,
        limits: &Limits,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            backends,
            verifier,
            limiter,
            health,
            at_work: Arc::new(Semaphore::new(limits.max_concurrent_requests)),
            event_streams: Arc::new(Semaphore::new(limits.max_event_streams)),
            limits: limits.clone(),
            shutdown,
        }))
    }
}

impl Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// What refuses a request before the router sees it.
pub fn gate(api: Api) -> Gate {
    Arc::new(move |request| admission::refuse(&api, request))
}

/// Every route with every layer.
pub fn router(api: Api, config: &Config) -> Router {
    let (shop, document) = described().split_for_parts();
    shop.merge(docs::routes(document))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(api.clone(), admission::admit))
        // The handlers' own limit is the one that is configured.
        .layer(DefaultBodyLimit::disable())
        .layer(CompressionLayer::new())
        .layer(from_fn(conditional::answer))
        .layer(cors(&config.cors_allowed_origins))
        .layer(from_fn(telemetry::observe))
        .with_state(api)
}

/// The routes with their document.
fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(docs::document())
        .merge(auth::routes())
        .merge(users::routes())
        .merge(products::routes())
        .merge(categories::routes())
        .merge(stock::routes())
        .merge(orders::routes())
        .merge(order_events::routes())
        .merge(probes::routes())
}

async fn unknown_route() -> Problem {
    Problem::not_found("there is nothing at this path; the API is described at /docs")
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this path has other methods, see Allow",
    )
}

fn cors(origins: &[HeaderValue]) -> CorsLayer {
    const KEY: HeaderName = HeaderName::from_static("idempotency-key");
    const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    CorsLayer::new()
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
        .max_age(std::time::Duration::from_hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::asked_by;

    /// A route whose service is not known is let in however much there is to do.
    #[test]
    fn of_every_route_it_is_known_whom_it_asks() {
        for path in described().get_openapi().paths.paths.keys() {
            let answers_itself = probes::PATHS.contains(&path.as_str());
            assert_eq!(asked_by(path).is_none(), answers_itself, "{path}");
        }
    }
}
