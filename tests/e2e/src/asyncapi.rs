//! The events as `docs/asyncapi.yaml` describes them, for others to be held against.

use std::collections::BTreeMap;

use anyhow::Context as _;
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// What the document is called where it refers to itself.
const RESOURCE: &str = "https://shop.example/asyncapi.json";

/// The document, read strictly: where it leaves room for properties that are yet to come, nothing published may have any.
pub struct AsyncApi {
    document: Value,
    schemas: Schemas,
    messages: BTreeMap<String, SchemaIndex>,
}

impl std::fmt::Debug for AsyncApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncApi")
            .field("messages", &self.messages.keys())
            .finish_non_exhaustive()
    }
}

impl AsyncApi {
    /// The document of this checkout.
    pub fn read() -> anyhow::Result<Self> {
        let document: Value = serde_saphyr::from_str(include_str!("../../../docs/asyncapi.yaml"))?;
        let mut components = document["components"].clone();
        let schemas = components["schemas"]
            .as_object_mut()
            .context("there are schemas")?;
        for schema in schemas.values_mut().filter(|schema| schema["type"] == "object") {
            schema["additionalProperties"] = Value::Bool(false);
        }
        let names = components["messages"].as_object().context("there are messages")?;
        let names: Vec<String> = names.keys().cloned().collect();
        let mut compiler = Compiler::new();
        // AsyncAPI's schemas are those of draft 7, and what we use of it means the same in 2020-12, which also knows what a
        // uuid is.
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler
            .add_resource(RESOURCE, json!({ "components": components }))
            .map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let mut schemas = Schemas::new();
        let mut messages = BTreeMap::new();
        for name in names {
            let payload = format!("{RESOURCE}#/components/messages/{name}/payload");
            let index = compiler.compile(&payload, &mut schemas);
            let index = index.map_err(|error| anyhow::anyhow!("{name}: {error:#}"))?;
            messages.insert(name, index);
        }
        Ok(Self {
            document,
            schemas,
            messages,
        })
    }

    /// All of it.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What a `$ref` is to.
    pub fn follow(&self, reference: &Value) -> anyhow::Result<&Value> {
        let target = reference["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        let target = target.with_context(|| format!("{reference} is a reference within the document"))?;
        self.document
            .pointer(target)
            .with_context(|| format!("there is no {target}"))
    }

    /// The types that have a message.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.messages.keys().map(String::as_str)
    }

    /// Whether an event, with its envelope, is as its type's message has it. An error says all that is not.
    pub fn check(&self, event: &Value) -> anyhow::Result<()> {
        let kind = event["type"]
            .as_str()
            .with_context(|| format!("{event} has a type"))?;
        let message = self.messages.get(kind);
        let message = message.with_context(|| format!("{kind} is not documented"))?;
        self.schemas
            .validate(event, *message)
            .map_err(|error| anyhow::anyhow!("{event} is not as documented: {error:#}"))?;
        Ok(())
    }
}
