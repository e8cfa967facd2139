//! What the gateway answered, and what a test may ask of it. A refusal to be what the test wants is an error that
//! names the test's line, the request and the whole answer.

use std::panic::Location;

use anyhow::{Context as _, bail, ensure};
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) request: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header's value, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as it came.
    pub fn text(&self) -> &str {
        &self.body
    }

    /// The body, if the status is that one; null where there is no body.
    #[track_caller]
    pub fn is(&self, status: u16) -> anyhow::Result<Value> {
        if self.status.as_u16() != status {
            bail!("{}: expected {status}, got {self}", Location::caller());
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.body).with_context(|| format!("{}: no JSON: {self}", Location::caller()))
    }

    /// The problem document (RFC 9457), if the status is that one. Whatever the problem, its members must be in order.
    #[track_caller]
    pub fn is_problem(&self, status: u16) -> anyhow::Result<Problem> {
        let place = Location::caller();
        let document = self.is(status).with_context(|| format!("at {place}"))?;
        let check = |holds: bool, what: &str| {
            if holds {
                Ok(())
            } else {
                bail!("{place}: {what}: {self}")
            }
        };
        let media_type = self.header("content-type").unwrap_or_default();
        check(
            media_type.split(';').next() == Some("application/problem+json"),
            "not application/problem+json",
        )?;
        check(
            document["type"].as_str().is_some_and(|kind| !kind.is_empty()),
            "no type",
        )?;
        check(
            document["title"].as_str().is_some_and(|title| !title.is_empty()),
            "no title",
        )?;
        check(
            document["status"].as_u64() == Some(status.into()),
            "its status is not the answer's",
        )?;
        let trace_id = document["trace_id"].as_str().unwrap_or_default();
        let is_hex = trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        check(trace_id.len() == 32 && is_hex, "no trace id")?;
        Ok(Problem {
            answer: self.clone(),
            document,
        })
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}: {}", self.status, self.request, self.body)
    }
}

/// A problem document.
#[derive(Clone, Debug)]
pub struct Problem {
    answer: Answer,
    document: Value,
}

impl Problem {
    /// Holds if the document's type ends in that name.
    #[track_caller]
    pub fn of_type(self, name: &str) -> anyhow::Result<Self> {
        let kind = self.document["type"].as_str().unwrap_or_default();
        let matches = kind.rsplit(['/', ':', '#']).next() == Some(name);
        ensure!(
            matches,
            "{}: the type is not {name}: {}",
            Location::caller(),
            self.answer
        );
        Ok(self)
    }

    /// Holds if the document names that field as being at fault.
    #[track_caller]
    pub fn names(self, field: &str) -> anyhow::Result<Self> {
        let errors = self.document["errors"].as_array().cloned().unwrap_or_default();
        let named = errors
            .iter()
            .any(|error| error["field"] == field && error["detail"].is_string());
        ensure!(
            named,
            "{}: the field {field} is not named: {}",
            Location::caller(),
            self.answer
        );
        Ok(self)
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }
}
