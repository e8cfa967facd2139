//! Fields of bodies and parameters, and what is said of their values.

use serde_json::Value;

use super::text::{Span, spans};
use crate::http::docs::example::{Schemas, kind};

/// A field, or a parameter.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) required: bool,
    pub(super) kind: Kind<'a>,
    pub(super) limits: Vec<String>,
    pub(super) description: Vec<Span<'a>>,
}

/// What values are.
pub(super) struct Kind<'a> {
    /// `string`, `array of`
    pub(super) text: String,
    /// The schema that is described elsewhere.
    pub(super) schema: Option<&'a str>,
    pub(super) nullable: bool,
}

/// The fields of an object.
pub(super) fn fields(schema: &Value) -> Vec<Field<'_>> {
    let required = schema["required"].as_array();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| {
            let required = required.is_some_and(|required| required.contains(&name.as_str().into()));
            Field::of(name, required, property, &property["description"])
        })
        .collect()
}

impl<'a> Field<'a> {
    pub(super) fn of(name: &'a str, required: bool, schema: &'a Value, description: &'a Value) -> Self {
        Self {
            name,
            required,
            kind: Kind::of(schema),
            limits: limits(schema),
            description: spans(description.as_str().unwrap_or_default()),
        }
    }
}

impl<'a> Kind<'a> {
    fn of(schema: &'a Value) -> Self {
        let is_array = kind(schema) == "array";
        let values = if is_array { &schema["items"] } else { schema };
        let name = Schemas::name(values);
        let format = values["format"].as_str().filter(|format| *format != "int32");
        let format = format.map_or_else(String::new, |format| format!(" ({format})"));
        let array = if is_array { "array of " } else { "" };
        let of = if name.is_none() { kind(values) } else { "" };
        Self {
            text: format!("{array}{of}{format}"),
            schema: name,
            nullable: schema["type"]
                .as_array()
                .is_some_and(|kinds| kinds.contains(&"null".into())),
        }
    }
}

/// What the schema says of how long, large or many, in words.
fn limits(schema: &Value) -> Vec<String> {
    let of = |name: &str| schema[name].as_i64();
    let range = |least: Option<i64>, most: Option<i64>, unit: &str| match (
        least.filter(|least| *least > i64::MIN),
        most.filter(|most| *most < i64::MAX),
    ) {
        (Some(least), Some(most)) if least == most => Some(format!("{least}{unit}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, None) => None,
    };
    let listed = |name: &str, word: &str| {
        let values = schema[name].as_array()?;
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        Some(format!("{word}{}", values.join(", ")))
    };
    [
        range(of("minLength"), of("maxLength"), " characters"),
        range(of("minimum"), of("maximum"), ""),
        range(of("minItems"), of("maxItems"), " items"),
        schema["pattern"]
            .as_str()
            .map(|pattern| format!("matches {pattern}")),
        listed("enum", ""),
        listed("examples", "such as "),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_said_in_words() {
        assert_eq!(
            limits(&json!({ "minLength": 1, "maxLength": 200 })),
            ["1 to 200 characters"]
        );
        assert_eq!(limits(&json!({ "minimum": 0 })), ["at least 0"]);
        assert!(limits(&json!({ "minimum": i64::MIN, "maximum": i64::MAX })).is_empty());
        assert_eq!(limits(&json!({ "minItems": 10, "maxItems": 10 })), ["10 items"]);
        assert_eq!(limits(&json!({ "enum": ["user", "admin"] })), ["user, admin"]);
    }

    #[test]
    fn lists_say_of_what() {
        let schema = json!({ "type": ["array", "null"], "items": { "$ref": "#/components/schemas/Order" } });
        let kind = Kind::of(&schema);
        assert_eq!(
            (kind.text.as_str(), kind.schema, kind.nullable),
            ("array of ", Some("Order"), true)
        );
    }
}
