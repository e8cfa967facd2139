//! The description of the API: OpenAPI 3.1 at `/openapi.json`, made from the handlers, and for people at `/docs`
//! ([`page`]), with examples of every call ([`samples`]) and the client in TypeScript ([`files`]).

mod example;
mod files;
mod page;
mod samples;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::get,
};
use utoipa::{
    OpenApi, ToSchema as _,
    openapi::{
        Content, ContentBuilder, Ref, RefOr, ResponseBuilder,
        path::{Operation, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{Api, conditional::Representation, vocabulary};
use crate::{
    config::{ApiDocs, Pages},
    problem::{Document, FieldError, MEDIA_TYPE},
};

/// What the document says before the routes add themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shop",
        description = "Products, orders and accounts. Log in, and send the token as `Authorization: Bearer <token>`.\n\n\
                       Errors are problem documents (RFC 9457), described at `/problems`. Lists show their first 10,000 entries by `page`, and all by `cursor`. Prices are \
                       decimal numbers and exact.",
    ),
    components(schemas(Document, FieldError)),
    tags(
        (name = "auth", description = "Sessions"),
        (name = "users", description = "Accounts"),
        (name = "products", description = "The catalogue and its stock"),
        (name = "orders", description = "Orders"),
        (name = "audit", description = "Who changed what"),
        (name = "flow", description = "What moves through the shop, what waits, and what could not be worked off"),
        (name = "problems", description = "What the `type` of a problem document means"),
        (name = "probes", description = "How the gateway does"),
    ),
    servers((url = "/", description = "Where this document was read")),
)]
struct Described;

/// The document without its routes.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Described::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `token` of `POST /auth/login`"))
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("token", SecurityScheme::Http(scheme));
    document
}

/// The document with its routes, and with what each of them has in common with others.
pub(super) fn complete(mut document: utoipa::openapi::OpenApi) -> serde_json::Value {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            describe_problems(operation);
            describe_successes(operation);
        }
    }
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    vocabulary::apply(&mut document);
    samples::add(&mut document);
    document
}

/// `/openapi.json`, `/docs` and what it loads, for the complete document; nothing where they are off, but the style of the
/// pages at `/problems`. They are what is at `/` where no pages are.
pub(super) fn routes(document: serde_json::Value, docs: ApiDocs, pages: Pages) -> Router<Api> {
    let router = Router::new().route("/docs/docs.css", get(files::style));
    if docs == ApiDocs::Off {
        return router;
    }
    let page = Arc::new(page::render(&document));
    // Once: whoever asks for it again and again is answered for little.
    let written = Representation::new(document).public().write();
    let router = router
        .route("/openapi.json", get(async move || written.clone()))
        .route(
            "/docs",
            get(move |headers: HeaderMap| std::future::ready(page.answer(&headers))),
        )
        .route("/docs/", get(async || Redirect::permanent("/docs")))
        .route("/docs/docs.js", get(files::script))
        .route("/docs/client/{name}", get(files::client));
    match pages {
        Pages::On => router,
        Pages::Off => router.route("/", get(async || Redirect::temporary("/docs"))),
    }
}

/// Adds the refusals that come of what the operation takes, so that no handler has to repeat them, and gives every
/// refusal its form.
fn describe_problems(operation: &mut Operation) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let takes = |place: &ParameterIn| {
        parameters
            .iter()
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *place))
    };
    let in_path = takes(&ParameterIn::Path);
    let in_target = in_path || takes(&ParameterIn::Query);
    let takes_body = operation.request_body.is_some();
    let needs_token = operation.security.is_some();
    for (applies, status, description) in [
        (
            true,
            "400",
            "This is no request: its Host, its query or its body can't be read",
        ),
        (
            needs_token,
            "401",
            "There is no token, or it is not good any more",
        ),
        (in_path, "404", "There is no such thing"),
        (takes_body, "408", "The body did not come in time"),
        (takes_body, "413", "The body is too large"),
        (in_target, "414", "Path and query are too long together"),
        (takes_body, "415", "The body is not declared as JSON in UTF-8"),
        (true, "422", "Something makes no sense; `errors` names all of it"),
        (
            true,
            "429",
            "Too many requests; `Retry-After` says when to come back",
        ),
        (true, "503", "A service is not available, or too busy"),
    ] {
        let responses = &mut operation.responses.responses;
        if applies && !responses.contains_key(status) {
            let response = ResponseBuilder::new().description(description).build();
            responses.insert(status.to_owned(), response.into());
        }
    }
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response)
            && response.content.is_empty()
        {
            response.content.insert(MEDIA_TYPE.to_owned(), problem().into());
        }
    }
}

/// Every answer has a description (OpenAPI 3.1, Response Object): without one of its own, the phrase of its status.
fn describe_successes(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let status = status.parse::<StatusCode>().ok();
            status
                .and_then(|status| status.canonical_reason())
                .unwrap_or("See the summary")
                .clone_into(&mut response.description);
        }
    }
}

fn problem() -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Document::name())))
        .build()
}
