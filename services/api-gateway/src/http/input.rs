//! What handlers take from a request, read strictly: whatever is unknown, missing, doubled or of the wrong type is
//! refused, all of it at once ([`decode`]), and named as the caller wrote it.

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Api, body, decode};
use crate::problem::Problem;

/// A body of JSON.
pub(super) struct Json<T>(pub(super) T);

/// The parameters of the query.
pub(super) struct Query<T>(pub(super) T);

/// The `{id}` of the path.
pub(super) struct Id(pub(super) Uuid);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    /// The body is there: it was read before the request was let in ([`body::Bodies`]).
    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        let body = request.into_body().collect().await;
        let body = body.map_err(|_| Problem::internal())?.to_bytes();
        decode::json(body::json_text(&body)?)
            .map(Self)
            .map_err(Problem::invalid)
    }
}

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        decode::query(query).map(Self).map_err(Problem::invalid)
    }
}

/// 400 unless a query's escapes are text.
pub(super) fn is_text(query: &str) -> Result<(), Problem> {
    percent_encoding::percent_decode_str(query)
        .decode_utf8()
        .map(drop)
        .map_err(|_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-query",
                "the escapes of the query are not UTF-8",
            )
        })
}

impl FromRequestParts<Api> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let not_an_id = || Problem::invalid_field("id", "must be a UUID");
        let parameters = RawPathParams::from_request_parts(parts, api)
            .await
            .map_err(|_| not_an_id())?;
        let id = parameters.iter().find(|(name, _)| *name == "id");
        id.and_then(|(_, text)| Uuid::try_parse(text).ok())
            .map(Self)
            .ok_or_else(not_an_id)
    }
}

/// A header that is doubled, or no text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreadable;

/// The text of a header that may come once.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &header::HeaderName,
) -> Result<Option<&'a str>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Unreadable),
        (Some(_), Some(_)) => Err(Unreadable),
    }
}
