//! Every call of the API, of `docs/openapi.json`.

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    markdown::{self, add, cell, code, shown},
    schema::{Enter, HEAD, fields, kind, name_of, resolve, rows},
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page.
pub fn page() -> anyhow::Result<String> {
    let document: Value = serde_json::from_str(&crate::read("docs/openapi.json")?)?;
    let mut page = markdown::beginning(
        "API",
        "`docs/openapi.json`",
        "What all calls have in common (errors, lists, money, repeating, accounts) is in [API conventions](api-conventions.md).\n\
         A gateway shows the same at `/docs`, and as OpenAPI 3.1 at `/openapi.json`; here that is [openapi.json](../openapi.json).\n",
    );
    let operations = operations(&document)?;
    let rows = operations.iter().map(|(method, path, operation)| {
        let title = title(method, path);
        vec![
            format!("[`{title}`](#{})", anchor(&title)),
            who(operation),
            first_sentence(operation),
        ]
    });
    markdown::table(
        &mut page,
        &["call", "by", "what it does"],
        &rows.collect::<Vec<_>>(),
    );
    for (method, path, operation) in &operations {
        call(&mut page, &document, &title(method, path), operation);
    }
    page.push_str("\n## Objects\n");
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .context("it has no schemas")?
    {
        object(&mut page, &document, name, schema);
    }
    Ok(page)
}

type Operation<'a> = (&'static str, &'a String, &'a Value);

/// By tag, in the order of the document's tags, then by path.
fn operations(document: &Value) -> anyhow::Result<Vec<Operation<'_>>> {
    let paths = document["paths"].as_object().context("it has no paths")?;
    let mut operations: Vec<Operation> = Vec::new();
    for (path, item) in paths {
        operations.extend(
            METHODS
                .iter()
                .filter_map(|method| Some((*method, path, item.get(*method)?))),
        );
    }
    let tags: Vec<_> = document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tag| &tag["name"])
        .collect();
    operations.sort_by_key(|(_, _, operation)| tags.iter().position(|tag| **tag == operation["tags"][0]));
    Ok(operations)
}

fn title(method: &str, path: &str) -> String {
    format!("{} {path}", method.to_uppercase())
}

/// What GitHub makes of a heading.
fn anchor(title: &str) -> String {
    let lower = title.to_lowercase().replace(' ', "-");
    lower
        .chars()
        .filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter))
        .collect()
}

fn who(operation: &Value) -> String {
    let needs_login = operation["security"]
        .as_array()
        .is_some_and(|security| !security.is_empty());
    let forbidden = operation["responses"]["403"]["description"]
        .as_str()
        .unwrap_or_default();
    let who = match needs_login {
        true if forbidden.starts_with("Not an admin") => "admins",
        true => "who is logged in",
        false => "anybody",
    };
    who.to_owned()
}

fn first_sentence(operation: &Value) -> String {
    let text = operation["summary"]
        .as_str()
        .or(operation["description"].as_str())
        .unwrap_or_default();
    let line = cell(text);
    line.split_once(". ")
        .map_or(line.trim_end_matches('.'), |(first, _)| first)
        .to_owned()
}

fn call(page: &mut String, document: &Value, title: &str, operation: &Value) {
    add(page, format_args!("\n## {title}\n"));
    for said in ["summary", "description"] {
        if let Some(text) = operation[said].as_str() {
            add(page, format_args!("\n{}\n", shown(text.trim_end())));
        }
    }
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters: Vec<_> = parameters
        .map(|parameter| {
            let parameter = resolve(document, parameter);
            vec![
                code(parameter["name"].as_str().unwrap_or_default()),
                parameter["in"].as_str().unwrap_or_default().to_owned(),
                kind(document, &parameter["schema"]),
                if parameter["required"] == true { "yes" } else { "" }.to_owned(),
                cell(parameter["description"].as_str().unwrap_or_default()),
            ]
        })
        .collect();
    if !parameters.is_empty() {
        page.push('\n');
        markdown::table(
            page,
            &["parameter", "in", "value", "needed", "meaning"],
            &parameters,
        );
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        add(page, format_args!("\nBody: {}\n", link(document, body)));
    }
    page.push('\n');
    let responses = operation["responses"].as_object().into_iter().flatten();
    let answers = responses.map(|(status, response)| {
        let response = resolve(document, response);
        let content = response["content"].as_object().into_iter().flatten().next();
        let schema = content
            .filter(|(media, _)| !media.contains("problem"))
            .map(|(_, content)| &content["schema"]);
        vec![
            status.clone(),
            schema.map(|schema| link(document, schema)).unwrap_or_default(),
            cell(response["description"].as_str().unwrap_or_default()),
        ]
    });
    markdown::table(page, &["answer", "with", "when"], &answers.collect::<Vec<_>>());
}

fn link(document: &Value, schema: &Value) -> String {
    match name_of(schema) {
        Some(name) => format!("[`{name}`](#{})", name.to_lowercase()),
        None => kind(document, schema),
    }
}

fn object(page: &mut String, document: &Value, name: &str, schema: &Value) {
    add(page, format_args!("\n### {name}\n"));
    if let Some(description) = schema["description"].as_str() {
        add(page, format_args!("\n{}\n", shown(description.trim_end())));
    }
    page.push('\n');
    let fields = fields(document, schema, Enter::Unnamed);
    if fields.is_empty() {
        add(page, format_args!("{}\n", kind(document, schema)));
    } else {
        markdown::table(page, &HEAD, &rows(&fields));
    }
}
