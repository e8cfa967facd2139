//! Values as the document describes them, for the examples of calls and of answers.

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";
/// What is known by an id: a variable's name follows it.
pub(super) const VARIABLE: char = '$';

/// The schemas that others refer to, by their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schemas<'a>(&'a Value);

/// Whose values they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The caller's: what is needed and what is worth showing; ids and tokens are variables.
    Request,
    /// The gateway's: everything.
    Answer,
}

impl<'a> Schemas<'a> {
    pub(super) fn of(document: &'a Value) -> Self {
        Self(&document["components"]["schemas"])
    }

    /// The name of the schema that is referred to.
    pub(super) fn name(schema: &Value) -> Option<&str> {
        schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
    }

    /// The schema itself, of a reference too.
    pub(super) fn resolve(self, schema: &'a Value) -> &'a Value {
        Self::name(schema).map_or(schema, |name| &self.0[name])
    }

    /// The body of a request. A text that begins with [`VARIABLE`] stands for the value of one.
    pub(super) fn request(self, schema: &'a Value) -> Value {
        self.value("", schema, Side::Request)
    }

    /// The body of an answer.
    pub(super) fn answer(self, schema: &'a Value) -> Value {
        self.value("", schema, Side::Answer)
    }

    fn value(self, name: &str, schema: &'a Value, side: Side) -> Value {
        let resolved = self.resolve(schema);
        if side == Side::Request && (resolved["format"] == "uuid" || name == "refresh_token") {
            return format!("{VARIABLE}{}", name.to_uppercase()).into();
        }
        let given = [schema, resolved].into_iter().find_map(given);
        if let (Some(given), Side::Request) | (Some(given @ (Value::String(_) | Value::Number(_))), _) =
            (given, side)
        {
            return given.clone();
        }
        match kind(resolved) {
            "object" => self.object(resolved, side),
            "array" => json!([self.value(name, &resolved["items"], side)]),
            "boolean" => false.into(),
            "integer" | "number" => resolved["minimum"].as_i64().unwrap_or(1).max(1).into(),
            _ => match resolved["format"].as_str() {
                Some("uuid") => "01994c9e-6a5b-7c3d-8e2f-0a1b2c3d4e5f",
                Some("date-time") => "2026-01-02T03:04:05.120000Z",
                Some("email") => "ada@example.com",
                Some("uri") => "https://images.example/cup.png",
                _ => "…",
            }
            .into(),
        }
    }

    fn object(self, schema: &'a Value, side: Side) -> Value {
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let required = |name: &str| {
            let mut names = schema["required"].as_array().into_iter().flatten();
            names.any(|required| required == name)
        };
        let shown = |name: &str, property: &Value| required(name) || given(property).is_some();
        // Where nothing is needed and nothing stands out, everything is shown.
        let all = side == Side::Answer || !properties.iter().any(|(name, property)| shown(name, property));
        let fields = properties
            .iter()
            .filter(|(name, property)| all || shown(name, property))
            .map(|(name, property)| (name.clone(), self.value(name, property, side)));
        Value::Object(fields.collect())
    }
}

/// The example that a schema has, or the first value that it may have.
fn given(schema: &Value) -> Option<&Value> {
    let first = |name: &str| schema[name].as_array().and_then(|values| values.first());
    schema
        .get("example")
        .or_else(|| first("examples"))
        .or_else(|| first("enum"))
}

/// The type of a schema, without regard to whether it may be null; none is empty.
pub(super) fn kind(schema: &Value) -> &str {
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.as_slice(),
        kind => std::slice::from_ref(kind),
    };
    let mut kinds = kinds.iter().filter_map(Value::as_str);
    kinds.find(|kind| *kind != "null").unwrap_or_default()
}
