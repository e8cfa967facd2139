//! Examples of every call, in the languages that callers write: in the document as `x-codeSamples`, which its readers know,
//! and so at `/docs`. They are made from what the document says of the call, and run as they are: the shop and the token are
//! in the variables `SHOP_URL` and `SHOP_TOKEN` of the environment, and so is each id that only the caller can know.

mod curl;
mod literal;
mod python;
mod rust;
mod typescript;

use serde_json::{Value, json};

use super::example::{Schemas, VARIABLE};
use crate::http::vocabulary::{self, METHODS};

/// The extension of OpenAPI by which documents show examples.
pub(super) const EXTENSION: &str = "x-codeSamples";

/// What is sent, as far as the languages say it each in its own way.
#[derive(Debug)]
struct Call {
    operation: String,
    method: &'static str,
    path: Vec<Piece>,
    /// Written as it is sent, with the `?`, and by name and value.
    query: String,
    query_values: Value,
    needs_token: bool,
    takes_key: bool,
    body: Option<Value>,
    answers: Answers,
}

/// A part of a path.
#[derive(Debug)]
enum Piece {
    Text(String),
    Parameter { name: String, value: Value },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Json,
    Nothing,
    Events,
}

/// Gives every call its examples.
pub(super) fn add(document: &mut Value) {
    let described = document.clone();
    let schemas = Schemas::of(&described);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, operations) in paths {
        for method in METHODS {
            if let Some(operation) = described["paths"][path.as_str()].get(method) {
                let call = Call::of(method, path, operation, schemas);
                operations[method][EXTENSION] = json!([
                    { "lang": "Shell", "label": "curl", "source": curl::write(&call) },
                    { "lang": "TypeScript", "label": "TypeScript", "source": typescript::write(&call) },
                    { "lang": "Python", "label": "Python", "source": python::write(&call) },
                    { "lang": "Rust", "label": "Rust", "source": rust::write(&call) },
                ]);
            }
        }
    }
}

impl Call {
    fn of(method: &'static str, path: &str, operation: &Value, schemas: Schemas<'_>) -> Self {
        let parameters = || operation["parameters"].as_array().into_iter().flatten();
        let content = operation["responses"]
            .as_object()
            .into_iter()
            .flatten()
            .find(|(status, _)| status.starts_with('2'))
            .map_or(&Value::Null, |(_, answer)| &answer["content"]);
        let filters = parameters()
            .filter(|parameter| parameter["in"] == "query" && parameter["schema"]["format"] != "date-time")
            .filter_map(|parameter| Some((parameter["name"].as_str()?, parameter.get("example")?)));
        let filters: Vec<_> = filters.collect();
        Self {
            operation: operation["operationId"].as_str().unwrap_or_default().to_owned(),
            method,
            path: pieces(path, operation),
            query: query(&filters),
            query_values: filters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            needs_token: operation["security"].is_array(),
            takes_key: parameters().any(|parameter| parameter["name"] == "Idempotency-Key"),
            body: operation["requestBody"]["content"]
                .get("application/json")
                .map(|content| schemas.request(&content["schema"])),
            answers: if !content["text/event-stream"].is_null() {
                Answers::Events
            } else if content["application/json"].is_null() {
                Answers::Nothing
            } else {
                Answers::Json
            },
        }
    }

    /// The names of the variables that the path and the body have, each once.
    fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for piece in &self.path {
            if let Piece::Parameter { value, .. } = piece {
                collect_variables(value, &mut names);
            }
        }
        if let Some(body) = &self.body {
            collect_variables(body, &mut names);
        }
        names
    }

    /// Path and query, each variable as `write` has it.
    fn target(&self, write: impl Fn(&str) -> String) -> String {
        let mut target = String::new();
        for piece in &self.path {
            match piece {
                Piece::Text(text) => target.push_str(text),
                Piece::Parameter { value, .. } => match variable(value) {
                    Some(name) => target.push_str(&write(name)),
                    None => target.push_str(value.as_str().unwrap_or_default()),
                },
            }
        }
        target + &self.query
    }
}

fn pieces(path: &str, operation: &Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut before = "";
    for segment in path.split('/').skip(1) {
        pieces.push(Piece::Text("/".to_owned()));
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        pieces.push(match name {
            Some(name) => Piece::Parameter {
                name: name.to_owned(),
                value: parameter_example(name, operation)
                    .unwrap_or_else(|| format!("{VARIABLE}{}", variable_after(before)).into()),
            },
            None => Piece::Text(segment.to_owned()),
        });
        before = segment;
    }
    pieces
}

/// `PRODUCT_ID` for what stands behind `products`.
pub(super) fn variable_after(segment: &str) -> String {
    format!("{}_ID", vocabulary::singular(segment).to_uppercase())
}

fn parameter_example(name: &str, operation: &Value) -> Option<Value> {
    let mut parameters = operation["parameters"].as_array()?.iter();
    let parameter = parameters.find(|parameter| parameter["name"] == name)?;
    parameter.get("example").cloned()
}

fn query(values: &[(&str, &Value)]) -> String {
    let pairs = values
        .iter()
        .map(|(name, value)| (name, value.as_str().unwrap_or_default()));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    if query.is_empty() {
        query
    } else {
        format!("?{query}")
    }
}

/// The variable that a text stands for.
fn variable(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(VARIABLE)
}

fn collect_variables<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect_variables(value, names)),
        Value::Object(fields) => fields.values().for_each(|value| collect_variables(value, names)),
        value => names.extend(variable(value).filter(|name| !names.contains(name))),
    }
}
