//! The API over HTTP: a file per resource, and what every request goes through.
//!
//! From the outside in: the gate, which refuses what can't be served ([`admission`]), a span and a duration
//! ([`telemetry`]), headers, CORS ([`methods`]), preconditions ([`conditional`]) and compression, the caller's identity
//! ([`caller`]) and rate, its whole body ([`body`]), a bound on requests at work, a time limit (all in [`admission`]), then
//! the handler, which reads its input strictly ([`input`], [`decode`]).

mod admission;
mod audit;
mod auth;
mod availability;
mod body;
mod caller;
mod categories;
mod conditional;
mod dead_letters;
mod decode;
mod docs;
mod flow;
mod idempotency;
mod input;
mod list;
mod methods;
mod mfa;
mod open_enum;
mod operations;
mod order_events;
mod orders;
mod pages;
mod probes;
mod problems;
mod products;
mod refresh_cookie;
mod sessions;
mod stock;
mod telemetry;
mod timestamp;
mod users;
mod vocabulary;

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
};
use chassis::{health::Health, http::Gate};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::util::option_layer;
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, NotForContentType, Predicate},
    },
};
use utoipa_axum::router::OpenApiRouter;

use self::{body::Bodies, operations::Operations};
use crate::{
    Config,
    authority::Authority,
    backends::Backends,
    config::{Limits, Pages, StockArgs},
    rate_limit::Limiter,
    shares::Shares,
    token::Verifier,
};

/// What handlers and layers work with. Cheap to clone: each request does, several times.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

/// The same, once.
pub struct Inner {
    backends: Backends,
    verifier: Arc<Verifier>,
    authority: Authority,
    limiter: Limiter,
    health: Health,
    limits: Limits,
    stock: StockArgs,
    operations: Operations,
    bodies: Bodies,
    at_work: Arc<Semaphore>,
    event_streams: Shares,
    shutdown: CancellationToken,
}

impl Api {
    /// `shutdown` ends the streams that would keep the service from stopping.
    pub fn new(
        backends: Backends,
        verifier: Arc<Verifier>,
        authority: Authority,
        limiter: Limiter,
        health: Health,
        config: &Config,
        shutdown: CancellationToken,
    ) -> Self {
        let limits = &config.limits;
        Self(Arc::new(Inner {
            backends,
            verifier,
            authority,
            limiter,
            health,
            operations: Operations::new(described().get_openapi()),
            bodies: Bodies::new(limits),
            at_work: Arc::new(Semaphore::new(limits.max_concurrent_requests)),
            event_streams: Shares::new(limits.max_event_streams),
            limits: limits.clone(),
            stock: config.stock,
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

/// What the contracts leave empty where there is none.
fn unless_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// What refuses a request before the router sees it.
pub fn gate(api: Api) -> Gate {
    Arc::new(move |request| admission::refuse(&api, request))
}

/// Every route with every layer.
pub fn router(api: Api, config: &Config) -> Router {
    let (shop, document) = described().split_for_parts();
    let has_pages = config.pages == Pages::On;
    shop.merge(docs::routes(
        docs::complete(document),
        config.api_docs,
        config.pages,
    ))
    .merge(pages::routes(config.pages))
    .fallback(methods::unknown_route)
    .method_not_allowed_fallback(methods::other_method)
    .layer(from_fn_with_state(api.clone(), admission::admit))
    // The handlers' own limit is the one that is configured.
    .layer(DefaultBodyLimit::disable())
    .layer(option_layer(has_pages.then(|| from_fn(pages::dress))))
    .layer(compression())
    .layer(from_fn(conditional::answer))
    .layer(from_fn_with_state(
        methods::cors(&config.cors_allowed_origins),
        methods::share,
    ))
    .layer(from_fn_with_state(api.clone(), telemetry::observe))
    .with_state(api)
}

/// What is small stays as it is, and so do scripts and styles, which are compressed already for those who take them. The
/// least effort halves a list as well as the most.
fn compression() -> CompressionLayer<impl Predicate> {
    let wanted = DefaultPredicate::new()
        .and(NotForContentType::const_new("text/javascript"))
        .and(NotForContentType::const_new("text/css"));
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(wanted)
}

/// The description of the API: what `/openapi.json` answers with.
pub fn openapi() -> serde_json::Value {
    docs::complete(described().into_openapi())
}

/// The routes with their document.
fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(docs::document())
        .merge(auth::routes())
        .merge(users::routes())
        .merge(sessions::routes())
        .merge(mfa::routes())
        .merge(products::routes())
        .merge(categories::routes())
        .merge(stock::routes())
        .merge(orders::routes())
        .merge(order_events::routes())
        .merge(audit::routes())
        .merge(flow::routes())
        .merge(dead_letters::routes())
        .merge(problems::routes())
        .merge(probes::routes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::asked_by;

    /// A route whose service is not known is let in however much there is to do.
    #[test]
    fn of_every_route_it_is_known_whom_it_asks() {
        for path in described().get_openapi().paths.paths.keys() {
            let answers_itself = probes::PATHS.contains(&path.as_str()) || path.starts_with("/problems");
            assert_eq!(asked_by(path).is_none(), answers_itself, "{path}");
        }
    }
}
