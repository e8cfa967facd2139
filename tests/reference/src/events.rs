//! Every event on RabbitMQ, of `docs/asyncapi.yaml`.

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    markdown::{self, add, cell, code, shown},
    schema::{self, Enter, HEAD, fields, resolve, rows},
};

/// The page.
pub fn page() -> anyhow::Result<String> {
    let document: Value = serde_saphyr::from_str(&crate::read("docs/asyncapi.yaml")?)?;
    let about = text(&document["info"]["description"]);
    let mut page = markdown::beginning(
        "Events",
        "`docs/asyncapi.yaml`",
        &shown(about.trim_end()).replace("\\*\\*", "**"),
    );
    page.push_str("\n[How to follow them](../how-to/follow-events.md). All of it for a machine: [asyncapi.yaml](../asyncapi.yaml).\n\n");
    let operations = document["operations"]
        .as_object()
        .context("it has no operations")?;
    let sent = operations
        .iter()
        .filter(|(_, operation)| operation["action"] == "send");
    let summary: Vec<_> = sent
        .clone()
        .map(|(name, operation)| summary(&document, name, operation))
        .collect();
    markdown::table(
        &mut page,
        &["type", "of", "published", "what has happened"],
        &summary,
    );

    page.push_str("\n## What every event has\n\n");
    let every = &document["components"]["schemas"]["CloudEvent"];
    markdown::table(&mut page, &HEAD, &rows(&fields(&document, every, Enter::All)));
    for (name, operation) in sent {
        details(&mut page, &document, name, operation);
    }

    page.push_str("\n## Queues\n\n");
    let channels = document["channels"].as_object().context("it has no channels")?;
    let queues = channels
        .values()
        .filter(|channel| channel["bindings"]["amqp"]["is"] == "queue");
    markdown::table(
        &mut page,
        &["queue", "gets", "arguments", "what it is"],
        &queues.map(queue).collect::<Vec<_>>(),
    );
    Ok(page)
}

/// The row of an event.
fn summary(document: &Value, name: &str, operation: &Value) -> Vec<String> {
    let optional = text(&operation["traits"][0]["$ref"]).ends_with("/optional");
    let published = if optional {
        "where somebody listens"
    } else {
        "always"
    };
    vec![
        format!("[`{name}`](#{})", name.replace('.', "")),
        constant(document, name, "source")
            .trim_start_matches('/')
            .to_owned(),
        published.to_owned(),
        cell(text(&operation["summary"])),
    ]
}

/// The part of the page that is about one event.
fn details(page: &mut String, document: &Value, name: &str, operation: &Value) {
    let summary = shown(text(&operation["summary"]));
    add(page, format_args!("\n## {name}\n\n{summary}\n"));
    if let Some(description) = operation["description"].as_str() {
        add(page, format_args!("\n{}\n", shown(description.trim_end())));
    }
    let version = code(&constant(document, name, "dataschema"));
    add(page, format_args!("\n`data`, of {version}:\n\n"));
    let data = &part(document, name)["properties"]["data"];
    markdown::table(page, &HEAD, &rows(&fields(document, data, Enter::All)));
}

/// The row of a queue.
fn queue(channel: &Value) -> Vec<String> {
    let keys = channel["x-bindings"].as_array().into_iter().flatten();
    let keys = keys.map(|binding| code(text(&binding["routingKey"])));
    let arguments = channel["x-arguments"].as_object().into_iter().flatten();
    let arguments = arguments.map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        code(&format!("{name}: {value}"))
    });
    vec![
        code(text(&channel["address"])),
        keys.collect::<Vec<_>>().join(", "),
        arguments.collect::<Vec<_>>().join(", "),
        cell(text(&channel["description"])),
    ]
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What a message of that type adds to every event.
fn part<'a>(document: &'a Value, name: &str) -> &'a Value {
    let message = &document["components"]["messages"][name];
    resolve(document, &message["payload"]["allOf"][1])
}

fn constant(document: &Value, name: &str, property: &str) -> String {
    let schema = &part(document, name)["properties"][property];
    schema::resolve(document, schema)["const"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
