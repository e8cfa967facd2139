//! A request on its way, and a stream of events on its way back.

use std::{
    fmt::Write as _,
    future::{Future, IntoFuture},
    pin::Pin,
};

use anyhow::{Context as _, bail};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::{Answer, Api};

/// A request. Awaiting it sends it; an error then means that there was no whole answer.
#[derive(Clone, Debug)]
#[must_use = "a call is made when it is awaited"]
pub struct Call {
    api: Api,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Call {
    pub(crate) fn new(api: Api, method: Method, path: String) -> Self {
        Self {
            api,
            method,
            path,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a JSON body.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a body is written in place: `.json(json!({ … }))`"
    )]
    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Adds a body.
    pub fn body(mut self, media_type: &str, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", media_type)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The request as a command for a person to repeat, where the shell's variable of that name holds the token.
    pub fn curl(&self, token_variable: &str) -> String {
        let mut command = "curl -sS".to_owned();
        // Writing to a String does not fail.
        if self.method != Method::GET {
            let _infallible = write!(command, " -X {}", self.method);
        }
        let _infallible = write!(command, " {}{}", self.api.url, self.path);
        if self.api.token.is_some() {
            let _infallible = write!(command, " \\\n  -H \"authorization: Bearer ${token_variable}\"");
        }
        for (name, value) in &self.headers {
            let _infallible = write!(command, " \\\n  -H '{name}: {value}'");
        }
        if let Some(body) = &self.body {
            let _infallible = write!(command, " \\\n  -d '{}'", body.replace('\'', r"'\''"));
        }
        command
    }

    /// Opens a stream of server-sent events.
    pub async fn events(self) -> anyhow::Result<Events> {
        let request = self.to_string();
        let response = self.header("accept", "text/event-stream").send().await?;
        let media_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(|media_type| media_type.starts_with("text/event-stream")) {
            bail!(
                "{request}: no event stream: {} {}",
                response.status(),
                response.text().await?
            );
        }
        Ok(Events {
            response,
            buffer: Buffer::default(),
        })
    }

    async fn send(self) -> anyhow::Result<reqwest::Response> {
        let mut request = self
            .api
            .http
            .request(self.method.clone(), format!("{}{}", self.api.url, self.path));
        if let Some(token) = &self.api.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            request = request.header(name, HeaderValue::from_str(value)?);
        }
        if let Some(body) = self.body.clone() {
            request = request.body(body);
        }
        request
            .send()
            .await
            .with_context(|| format!("no answer to {self}"))
    }

    async fn answer(self) -> anyhow::Result<Answer> {
        let request = self.to_string();
        let response = self.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .text()
            .await
            .with_context(|| format!("half an answer to {request}"))?;
        Ok(Answer {
            request,
            status,
            headers,
            body,
        })
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self
            .body
            .as_deref()
            .unwrap_or_default()
            .chars()
            .take(400)
            .collect();
        write!(f, "{} {} {body}", self.method, self.path)
    }
}

impl IntoFuture for Call {
    type Output = anyhow::Result<Answer>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answer())
    }
}

/// A stream of server-sent events whose data is JSON.
#[derive(Debug)]
pub struct Events {
    response: reqwest::Response,
    buffer: Buffer,
}

impl Events {
    /// The data of the next event; none when the stream has ended.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(data) = self.buffer.next_data()? {
                return serde_json::from_str(&data)
                    .with_context(|| format!("an event's data: {data}"))
                    .map(Some);
            }
            let Some(chunk) = self.response.chunk().await? else {
                return Ok(None);
            };
            self.buffer.0.extend_from_slice(&chunk);
        }
    }
}

/// What has arrived of an event stream; chunks may end anywhere.
#[derive(Debug, Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    /// Takes out the first whole event that has data; one that only keeps the connection alive has none.
    fn next_data(&mut self) -> anyhow::Result<Option<String>> {
        while let Some(end) = self.0.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.0.drain(..end + 2).collect();
            let event = std::str::from_utf8(&event).context("an event stream is UTF-8")?;
            let data: String = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .collect();
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_put_together_whatever_the_chunks() {
        let stream = ": hello\n\nevent: status\ndata: {\"a\":\ndata: \"é\"}\n\n:\n\ndata: 2\n\ndata: cut off"
            .as_bytes();
        for size in 1..stream.len() {
            let (mut buffer, mut seen) = (Buffer::default(), Vec::new());
            for chunk in stream.chunks(size) {
                buffer.0.extend_from_slice(chunk);
                while let Some(data) = buffer.next_data().unwrap() {
                    seen.push(serde_json::from_str::<Value>(&data).unwrap());
                }
            }
            assert_eq!(
                seen,
                [serde_json::json!({ "a": "é" }), serde_json::json!(2)],
                "chunks of {size}"
            );
        }
    }
}
