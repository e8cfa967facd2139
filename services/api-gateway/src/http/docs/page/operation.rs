//! A call on the page.

use serde_json::Value;

use super::{
    field::Field,
    text::{Span, spans},
};
use crate::http::docs::{
    example::Schemas,
    samples::{self, variable_after},
};

pub(super) struct Operation<'a> {
    pub(super) id: &'a str,
    pub(super) method: String,
    pub(super) path: &'a str,
    pub(super) summary: Vec<Span<'a>>,
    pub(super) needs_token: bool,
    pub(super) parameters: Vec<Parameter<'a>>,
    pub(super) body: Option<Body<'a>>,
    pub(super) successes: Vec<Success<'a>>,
    pub(super) refusals: Vec<Refusal<'a>>,
    pub(super) samples: Vec<Sample<'a>>,
    /// What an id in its answer is the value of, for the examples of others.
    pub(super) makes: String,
}

pub(super) struct Parameter<'a> {
    pub(super) place: &'a str,
    /// The variable that its value is in.
    pub(super) variable: String,
    pub(super) example: &'a str,
    pub(super) field: Field<'a>,
}

/// A body with a schema, and an example of it.
pub(super) struct Body<'a> {
    pub(super) media_type: &'a str,
    pub(super) schema: Option<&'a str>,
    pub(super) example: String,
}

pub(super) struct Success<'a> {
    pub(super) status: &'a str,
    pub(super) description: Vec<Span<'a>>,
    pub(super) headers: Vec<Field<'a>>,
    pub(super) body: Option<Body<'a>>,
}

pub(super) struct Refusal<'a> {
    pub(super) status: &'a str,
    pub(super) description: Vec<Span<'a>>,
}

pub(super) struct Sample<'a> {
    pub(super) label: &'a str,
    /// The name of its class.
    pub(super) class: String,
    pub(super) source: &'a str,
}

impl<'a> Operation<'a> {
    pub(super) fn of(method: &str, path: &'a str, operation: &'a Value, schemas: Schemas<'a>) -> Self {
        let responses = || operation["responses"].as_object().into_iter().flatten();
        let is_refusal = |status: &str| status.starts_with(['4', '5']);
        let described = |answer: &'a Value| spans(answer["description"].as_str().unwrap_or_default());
        Self {
            id: operation["operationId"].as_str().unwrap_or_default(),
            method: method.to_uppercase(),
            path,
            summary: spans(operation["summary"].as_str().unwrap_or_default()),
            needs_token: operation["security"].is_array(),
            parameters: array(&operation["parameters"])
                .map(|parameter| Parameter::of(path, parameter))
                .collect(),
            body: body(&operation["requestBody"]["content"], |schema| {
                schemas.request(schema)
            }),
            successes: responses()
                .filter(|(status, _)| !is_refusal(status))
                .map(|(status, answer)| Success {
                    status,
                    description: described(answer),
                    headers: headers(answer),
                    body: body(&answer["content"], |schema| schemas.answer(schema)),
                })
                .collect(),
            refusals: responses()
                .filter(|(status, _)| is_refusal(status))
                .map(|(status, answer)| Refusal {
                    status,
                    description: described(answer),
                })
                .collect(),
            samples: array(&operation[samples::EXTENSION]).map(Sample::of).collect(),
            makes: match path.strip_prefix('/') {
                Some(collection) if !collection.contains('/') => variable_after(collection),
                _ => String::new(),
            },
        }
    }
}

impl<'a> Parameter<'a> {
    fn of(path: &str, parameter: &'a Value) -> Self {
        let name = parameter["name"].as_str().unwrap_or_default();
        let required = parameter["required"] == true;
        let place = parameter["in"].as_str().unwrap_or_default();
        let before = path.split_once(&format!("/{{{name}}}"));
        let collection = before.and_then(|(before, _)| before.rsplit('/').next());
        let example = parameter["example"].as_str().unwrap_or_default();
        Self {
            place,
            variable: match collection {
                Some(collection) if place == "path" && example.is_empty() => variable_after(collection),
                _ => String::new(),
            },
            // What is filled in is sent: of a filter that would be half of the list.
            example: if place == "path" { example } else { "" },
            field: Field::of(name, required, &parameter["schema"], &parameter["description"]),
        }
    }
}

impl<'a> Sample<'a> {
    fn of(sample: &'a Value) -> Self {
        let label = sample["label"].as_str().unwrap_or_default();
        Self {
            label,
            class: label.to_lowercase(),
            source: sample["source"].as_str().unwrap_or_default(),
        }
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn headers(answer: &Value) -> Vec<Field<'_>> {
    let headers = answer["headers"].as_object().into_iter().flatten();
    headers
        .map(|(name, header)| Field::of(name, false, &header["schema"], &header["description"]))
        .collect()
}

/// The first form that a body has.
fn body<'a>(content: &'a Value, example: impl Fn(&'a Value) -> Value) -> Option<Body<'a>> {
    let (media_type, content) = content.as_object()?.iter().next()?;
    let schema = &content["schema"];
    let example = if media_type == "application/json" {
        serde_json::to_string_pretty(&example(schema)).unwrap_or_default()
    } else {
        String::new()
    };
    Some(Body {
        media_type,
        schema: Schemas::name(schema),
        example,
    })
}
