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
    let mut page = markdown::beginning(
        "Events",
        "`docs/asyncapi.yaml`",
        &shown(
            document["info"]["description"]
                .as_str()
                .unwrap_or_default()
                .trim_end(),
        )
        .replace("\\*\\*", "**"),
    );
    page.push_str("\n[How to follow them](../how-to/follow-events.md). All of it for a machine: [asyncapi.yaml](../asyncapi.yaml).\n\n");
    let operations = document["operations"]
        .as_object()
        .context("it has no operations")?;
    let sent: Vec<_> = operations
        .iter()
        .filter(|(_, operation)| operation["action"] == "send")
        .collect();
    let summary = sent.iter().map(|(name, operation)| {
        let optional = operation["traits"][0]["$ref"]
            .as_str()
            .is_some_and(|path| path.ends_with("/optional"));
        let source = constant(&document, name, "source")
            .trim_start_matches('/')
            .to_owned();
        vec![
            format!("[`{name}`](#{})", name.replace('.', "")),
            source,
            if optional {
                "where somebody listens"
            } else {
                "always"
            }
            .to_owned(),
            cell(operation["summary"].as_str().unwrap_or_default()),
        ]
    });
    markdown::table(
        &mut page,
        &["type", "of", "published", "what has happened"],
        &summary.collect::<Vec<_>>(),
    );

    page.push_str("\n## What every event has\n\n");
    markdown::table(
        &mut page,
        &HEAD,
        &rows(&fields(
            &document,
            &document["components"]["schemas"]["CloudEvent"],
            Enter::All,
        )),
    );
    for (name, operation) in sent {
        add(
            &mut page,
            format_args!(
                "\n## {name}\n\n{}\n",
                shown(operation["summary"].as_str().unwrap_or_default())
            ),
        );
        if let Some(description) = operation["description"].as_str() {
            add(&mut page, format_args!("\n{}\n", shown(description.trim_end())));
        }
        add(
            &mut page,
            format_args!(
                "\n`data`, of {}:\n\n",
                code(&constant(&document, name, "dataschema"))
            ),
        );
        let data = part(&document, name)["properties"]["data"].clone();
        markdown::table(&mut page, &HEAD, &rows(&fields(&document, &data, Enter::All)));
    }
    page.push_str("\n## Queues\n\n");
    let channels = document["channels"].as_object().context("it has no channels")?;
    let queues = channels
        .values()
        .filter(|channel| channel["bindings"]["amqp"]["is"] == "queue")
        .map(|channel| {
            let keys = channel["x-bindings"].as_array().into_iter().flatten();
            let keys = keys
                .filter_map(|binding| binding["routingKey"].as_str())
                .map(code);
            let arguments = channel["x-arguments"].as_object().into_iter().flatten();
            let arguments = arguments.map(|(name, value)| {
                code(&format!(
                    "{name}: {}",
                    value.as_str().unwrap_or(&value.to_string())
                ))
            });
            vec![
                code(channel["address"].as_str().unwrap_or_default()),
                keys.collect::<Vec<_>>().join(", "),
                arguments.collect::<Vec<_>>().join(", "),
                cell(channel["description"].as_str().unwrap_or_default()),
            ]
        });
    markdown::table(
        &mut page,
        &["queue", "gets", "arguments", "what it is"],
        &queues.collect::<Vec<_>>(),
    );
    Ok(page)
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
