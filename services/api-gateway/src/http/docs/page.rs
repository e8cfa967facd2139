//! `/docs`: the document as a page for people. It is written once, when the gateway starts, and is complete without its
//! script, which adds sending, logging in and copying.

mod field;
mod operation;
mod text;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use self::{
    field::{Field, fields},
    operation::Operation,
    text::Span,
};
use super::{example::Schemas, files::ASK_AGAIN};
use crate::{
    http::{
        pages::{Asset, POLICY},
        vocabulary::METHODS,
    },
    problem::{self, Problem},
    problem_types::{ProblemType, TYPES},
};

/// The page, or why there is none.
#[derive(Debug)]
pub(super) struct Page(Option<Asset>);

#[derive(Template)]
#[template(path = "docs/docs.html")]
struct Docs<'a> {
    title: &'a str,
    version: &'a str,
    introduction: Vec<Vec<Span<'a>>>,
    groups: Vec<Group<'a>>,
    schemas: Vec<SchemaView<'a>>,
    statuses: Vec<StatusProblems>,
}

/// The calls with one tag.
struct Group<'a> {
    name: &'a str,
    description: &'a str,
    operations: Vec<Operation<'a>>,
}

struct SchemaView<'a> {
    name: &'a str,
    description: Vec<Span<'a>>,
    values: Vec<&'a str>,
    fields: Vec<Field<'a>>,
}

/// The kinds of problem with one status.
struct StatusProblems {
    status: u16,
    kinds: Vec<KindView>,
}

struct KindView {
    path: String,
    title: String,
    meaning: &'static str,
}

/// Writes the page of a document.
pub(super) fn render(document: &Value) -> Page {
    let schemas = Schemas::of(document);
    let text = |value: &'static str| document["info"][value].as_str().unwrap_or_default();
    let docs = Docs {
        title: text("title"),
        version: text("version"),
        introduction: text("description").split("\n\n").map(text::spans).collect(),
        groups: groups(document, schemas),
        schemas: schema_views(document),
        statuses: statuses(),
    };
    Page(match docs.render() {
        Ok(html) => Some(Asset::new("text/html; charset=utf-8", &html)),
        Err(error) => {
            tracing::error!(%error, "the documentation can't be written");
            None
        }
    })
}

impl Page {
    /// The answer with it.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let Some(page) = &self.0 else {
            return Problem::internal().into_response();
        };
        let mut response = page.answer(headers, ASK_AGAIN);
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }
}

fn groups<'a>(document: &'a Value, schemas: Schemas<'a>) -> Vec<Group<'a>> {
    let tags = document["tags"].as_array().into_iter().flatten();
    let groups = tags.map(|tag| {
        let name = tag["name"].as_str().unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, operations)| {
            METHODS.into_iter().filter_map(move |method| {
                let operation = operations.get(method)?;
                let tags = operation["tags"].as_array()?;
                tags.contains(&name.into())
                    .then(|| Operation::of(method, path, operation, schemas))
            })
        });
        Group {
            name,
            description: tag["description"].as_str().unwrap_or_default(),
            operations: operations.collect(),
        }
    });
    groups.collect()
}

fn schema_views(document: &Value) -> Vec<SchemaView<'_>> {
    let schemas = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    schemas
        .map(|(name, schema)| SchemaView {
            name,
            description: text::spans(schema["description"].as_str().unwrap_or_default()),
            values: schema["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
            fields: fields(schema),
        })
        .collect()
}

fn statuses() -> Vec<StatusProblems> {
    let mut statuses: Vec<StatusProblems> = Vec::new();
    for kind in TYPES {
        match statuses.last_mut() {
            Some(last) if last.status == kind.status => last.kinds.push(kind.into()),
            _ => statuses.push(StatusProblems {
                status: kind.status,
                kinds: vec![kind.into()],
            }),
        }
    }
    statuses
}

impl From<&ProblemType> for KindView {
    fn from(kind: &ProblemType) -> Self {
        Self {
            path: problem::reference(kind.name),
            title: problem::title(kind.name),
            meaning: kind.meaning,
        }
    }
}
