//! What handlers take from a request, read strictly: whatever is unknown, missing, doubled or of the wrong type is
//! refused, and named as the caller wrote it.

use std::fmt;

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use url::form_urlencoded;
use uuid::Uuid;

use super::{Api, body};
use crate::problem::{FieldError, Problem};

/// A body of JSON.
pub(super) struct Json<T>(pub(super) T);

/// The parameters of the query.
pub(super) struct Query<T>(pub(super) T);

/// The `{id}` of the path.
pub(super) struct Id(pub(super) Uuid);

/// A JSON object, where serde alone would also take an array of the fields' values.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send JSON, with `Content-Type: application/json`",
            ));
        }
        let bytes = body::read(&parts.headers, body, api.limits.max_body_bytes).await?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer
            .deserialize_map(Fields(std::marker::PhantomData))
            .map(Object)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = single(headers, &header::CONTENT_TYPE)
        .ok()
        .flatten()
        .unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer);
    match parsed {
        Ok(Object(value)) if deserializer.end().is_ok() => Ok(value),
        // Only where it is JSON at all is there a field to name.
        outcome => match (serde_json::from_slice::<IgnoredAny>(bytes), outcome) {
            (Ok(_), Err(error)) => Err(Problem::invalid(vec![field_error(&error)])),
            (Ok(_), Ok(_)) => Err(Problem::internal()),
            (Err(error), _) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-json",
                format!("the body is not JSON: {error}"),
            )),
        },
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| Problem::invalid(vec![field_error(&error)]))
}

/// The field at fault. serde names one that is missing, unknown or doubled in its message only, beside the path of the
/// object that it would be in.
fn field_error<E: fmt::Display>(error: &serde_path_to_error::Error<E>) -> FieldError {
    let message = error.inner().to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let path = match error.path().to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    for (prefix, detail) in [
        ("missing field `", "is missing"),
        ("unknown field `", "is not known here"),
        ("duplicate field `", "is given twice"),
    ] {
        let named = message.strip_prefix(prefix).and_then(|rest| rest.split_once('`'));
        if let Some((name, _)) = named {
            return FieldError {
                field: within(&path, name),
                detail: detail.to_owned(),
            };
        }
    }
    FieldError {
        field: if path.is_empty() { "body".to_owned() } else { path },
        detail: message.to_owned(),
    }
}

fn within(path: &str, name: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    if path.is_empty() {
        name.to_owned()
    } else if last == name {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::{body::Body, response::IntoResponse as _};
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::money::Number;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Basket {
        #[allow(dead_code, reason = "read by serde only")]
        lines: Vec<Object<Line>>,
        #[allow(dead_code, reason = "read by serde only")]
        price: Option<Number>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[allow(dead_code, reason = "read by serde only")]
        quantity: i64,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Paging {
        page: Option<u32>,
        sort: Option<Sort>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Sort {
        #[serde(rename = "-price")]
        Dearest,
    }

    async fn refusal(problem: Problem) -> (u16, Vec<String>) {
        let response = problem.into_response();
        let status = response.status().as_u16();
        let body: Body = response.into_body();
        let document: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        let errors = document["errors"].as_array().cloned().unwrap_or_default();
        let fields = errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned());
        (status, fields.collect())
    }

    #[tokio::test]
    async fn what_is_wrong_in_a_body_is_named() {
        for (body, status, field) in [
            (r#"{"lines": [{"quantity": 1}], "price": "10"}"#, 422, "price"),
            (
                r#"{"lines": [{"quantity": 1}, {"quantity": "2"}]}"#,
                422,
                "lines[1].quantity",
            ),
            (
                r#"{"lines": [{"quantity": 99999999999999999999}]}"#,
                422,
                "lines[0].quantity",
            ),
            (r#"{"lines": [{"quantity": 1.5}]}"#, 422, "lines[0].quantity"),
            (r#"{"lines": [{}]}"#, 422, "lines[0].quantity"),
            (r#"{"lines": [[1]]}"#, 422, "lines[0]"),
            (
                r#"{"lines": [{"quantity": 1, "free": true}]}"#,
                422,
                "lines[0].free",
            ),
            (
                r#"{"lines": [{"quantity": 1, "quantity": 2}]}"#,
                422,
                "lines[0].quantity",
            ),
            (r#"{"lines": [], "lines": []}"#, 422, "lines"),
            (r#"{"colour": "red"}"#, 422, "colour"),
            ("{}", 422, "lines"),
            ("[[]]", 422, "body"),
            ("null", 422, "body"),
            ("", 400, ""),
            ("{", 400, ""),
            (r#"{"lines": []} x"#, 400, ""),
            (r#"{"colour": }"#, 400, ""),
            ("\u{0}", 400, ""),
        ] {
            let problem = parse_json::<Basket>(body.as_bytes()).unwrap_err();
            let expected: Vec<String> = (!field.is_empty())
                .then(|| field.to_owned())
                .into_iter()
                .collect();
            assert_eq!(refusal(problem).await, (status, expected), "{body}");
        }
        assert!(parse_json::<Basket>(br#" {"lines": [{"quantity": 1}], "price": 1e400} "#).is_ok());
    }

    #[tokio::test]
    async fn what_is_wrong_in_a_query_is_named() {
        for (query, field) in [
            ("page=x", "page"),
            ("page=-1", "page"),
            ("page=99999999999999999999", "page"),
            ("page=", "page"),
            ("page=1&page=2", "page"),
            ("sort=price", "sort"),
            ("colour=red", "colour"),
        ] {
            let problem = parse_query::<Paging>(query).unwrap_err();
            assert_eq!(refusal(problem).await, (422, vec![field.to_owned()]), "{query}");
        }
        let both = Paging {
            page: Some(2),
            sort: Some(Sort::Dearest),
        };
        assert_eq!(parse_query::<Paging>("sort=-price&page=2").unwrap(), both);
        assert_eq!(parse_query::<Paging>("").unwrap(), Paging::default());
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let refused = parse_json::<Basket>(&bytes).err();
            prop_assert!(refused.is_none_or(|problem| problem.status().is_client_error()));
        }
    }
}
