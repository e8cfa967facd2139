//! What is known of every operation before its handler is asked, from the OpenAPI document: so that one rule holds for
//! all of them, and for those that are added.

use std::collections::HashMap;

use axum::http::Method;
use utoipa::openapi::{
    OpenApi, PathItem, RefOr, Required,
    path::{Operation as Described, ParameterIn},
};

use super::{idempotency, input};

/// The operations by their path, as the router names it.
#[derive(Debug)]
pub(super) struct Operations(HashMap<String, Vec<(Method, Operation)>>);

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is asked by itself")]
pub(super) struct Operation {
    /// Whether it is only for those who are logged in.
    pub(super) needs_token: bool,
    /// Whether there are parameters that a query may have.
    pub(super) takes_query: bool,
    /// Whether its path has an id.
    pub(super) takes_id: bool,
    /// Whether it is made once by an `Idempotency-Key`.
    pub(super) takes_key: bool,
    pub(super) body: TakesBody,
}

/// Whether an operation takes a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakesBody {
    No,
    IfSent,
    Always,
}

impl Operations {
    pub(super) fn new(document: &OpenApi) -> Self {
        let paths = &document.paths.paths;
        Self(
            paths
                .iter()
                .map(|(path, item)| (path.clone(), operations(item)))
                .collect(),
        )
    }

    /// The operation at a route; HEAD is GET without the body of its answer. None where the document has none.
    pub(super) fn get(&self, route: &str, method: &Method) -> Option<Operation> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let (_, operation) = self.0.get(route)?.iter().find(|(known, _)| known == method)?;
        Some(*operation)
    }

    /// The methods that a route has; none where it is not in the document.
    pub(super) fn methods(&self, route: &str) -> Vec<&str> {
        let operations = self.0.get(route).into_iter().flatten();
        operations.map(|(method, _)| method.as_str()).collect()
    }
}

/// The operations of a path.
pub(super) fn described(item: &PathItem) -> impl Iterator<Item = (Method, &Described)> {
    [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations(item: &PathItem) -> Vec<(Method, Operation)> {
    described(item)
        .map(|(method, operation)| (method, Operation::from(operation)))
        .collect()
}

impl From<&Described> for Operation {
    fn from(operation: &Described) -> Self {
        let parameters = || operation.parameters.iter().flatten();
        Self {
            needs_token: operation.security.is_some(),
            takes_query: parameters().any(|parameter| {
                matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
            }),
            takes_id: parameters().any(|parameter| {
                matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path
                    && parameter.name == input::ID)
            }),
            takes_key: parameters().any(|parameter| {
                matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Header
                    && parameter.name == idempotency::NAME)
            }),
            body: match &operation.request_body {
                None => TakesBody::No,
                Some(RefOr::T(body)) if body.required == Some(Required::True) => TakesBody::Always,
                Some(_) => TakesBody::IfSent,
            },
        }
    }
}
