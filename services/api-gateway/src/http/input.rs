//! What handlers take from a request, read strictly: whatever is unknown, missing, doubled, of the wrong type or of no
//! possible value is refused, all of it at once ([`decode`]), and named as the caller wrote it. A handler that takes more
//! than one thing takes [`All`] of them, so that what is wrong with the path, with headers and with the body is one answer.

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{Extensions, HeaderMap, StatusCode, header, request::Parts},
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    Api, body,
    decode::{self, Checked},
};
use crate::problem::{FieldError, Problem};

/// A body of JSON.
pub(super) struct Json<T>(pub(super) T);

/// The parameters of the query.
pub(super) struct Query<T>(pub(super) T);

/// What the parameter of a path is called that [`Id`] reads.
pub(super) const ID: &str = "id";

/// The `{id}` of the path.
pub(super) struct Id(pub(super) Uuid);

/// Several of them.
pub(super) struct All<T>(pub(super) T);

/// What was found wrong before the handler was asked for the rest ([`super::admission`]), for the first of [`Id`] and
/// [`Json`] to tell.
#[derive(Clone)]
pub(super) struct Found(pub(super) Vec<FieldError>);

impl Found {
    fn before<T>(extensions: &mut Extensions, read: Result<T, Problem>) -> Result<T, Problem> {
        let found = extensions
            .remove::<Self>()
            .map_or(Ok(()), |Self(errors)| Err(Problem::invalid(errors)));
        both(found, read).map(|((), read)| read)
    }
}

fn both<A, B>(first: Result<A, Problem>, second: Result<B, Problem>) -> Result<(A, B), Problem> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(first), Err(second)) => Err(first.and(second)),
        (Err(problem), Ok(_)) | (Ok(_), Err(problem)) => Err(problem),
    }
}

impl<A, B> FromRequest<Api> for All<(A, B)>
where
    A: FromRequestParts<Api, Rejection = Problem> + Send,
    B: FromRequest<Api, Rejection = Problem>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let first = A::from_request_parts(&mut parts, api).await;
        let second = B::from_request(Request::from_parts(parts, body), api).await;
        both(first, second).map(Self)
    }
}

impl<A, B> FromRequestParts<Api> for All<(A, B)>
where
    A: FromRequestParts<Api, Rejection = Problem> + Send,
    B: FromRequestParts<Api, Rejection = Problem>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let first = A::from_request_parts(parts, api).await;
        let second = B::from_request_parts(parts, api).await;
        both(first, second).map(Self)
    }
}

impl<T: DeserializeOwned + Checked> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    /// The body is there: it was read before the request was let in ([`body::Bodies`]).
    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|_| Problem::internal())?.to_bytes();
        let read = body::json_text(&body).and_then(|text| decode::json(text).map_err(Problem::invalid));
        Found::before(&mut parts.extensions, read).map(Self)
    }
}

impl<T: DeserializeOwned + Checked> FromRequestParts<Api> for Query<T> {
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
        let parameters = RawPathParams::from_request_parts(parts, api).await;
        let id = parameters.ok().and_then(|parameters| {
            let id = parameters.iter().find(|(name, _)| *name == ID)?;
            rules::id(id.1).ok()
        });
        let id = id.ok_or_else(|| Problem::invalid_field(ID, "must be a UUID"));
        Found::before(&mut parts.extensions, id).map(Self)
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
