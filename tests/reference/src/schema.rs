//! Fields of objects, as JSON Schema describes them in `OpenAPI`, `AsyncAPI` and a `CustomResourceDefinition`.

use serde_json::Value;

use crate::markdown::{add, cell, code};

/// One field, with those inside it after it.
#[derive(Debug)]
pub struct Field {
    /// From the object that was asked for: `a.b[].c`.
    pub path: String,
    /// What kind of value, with its bounds.
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What holds without it.
    pub default: String,
    /// What it is.
    pub meaning: String,
}

/// The object that a reference leads to; the value itself where it is none.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    target.and_then(|path| document.pointer(path)).unwrap_or(value)
}

/// The last part of a reference.
pub fn name_of(value: &Value) -> Option<&str> {
    value["$ref"].as_str()?.rsplit('/').next()
}

/// Which fields are entered, for those inside them.
#[derive(Clone, Copy, Debug)]
pub enum Enter {
    /// All.
    All,
    /// Not objects that have a name of their own, which stands as the kind.
    Unnamed,
    /// Not those of these names, which others describe.
    AllBut(&'static [&'static str]),
}

/// All fields of a schema.
pub fn fields(document: &Value, schema: &Value, enter: Enter) -> Vec<Field> {
    let mut found = Vec::new();
    walk(document, resolve(document, schema), "", enter, &mut found);
    found
}

fn walk(document: &Value, schema: &Value, prefix: &str, enter: Enter, found: &mut Vec<Field>) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        walk(document, resolve(document, part), prefix, enter, found);
    }
    let required = |name: &str| {
        let names = schema["required"].as_array().into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let inside = resolve(document, field);
        found.push(Field {
            kind: kind(document, field),
            required: required(name),
            default: default(inside),
            meaning: meaning(field, inside),
            path: path.clone(),
        });
        let entered = match enter {
            Enter::All => true,
            Enter::Unnamed => name_of(field).is_none() && name_of(&field["items"]).is_none(),
            Enter::AllBut(names) => !names.contains(&name.as_str()),
        };
        if !entered {
            continue;
        }
        let items = resolve(document, &inside["items"]);
        walk(document, inside, &path, enter, found);
        walk(document, items, &format!("{path}[]"), enter, found);
    }
}

fn meaning(field: &Value, inside: &Value) -> String {
    let description = field["description"].as_str().or(inside["description"].as_str());
    let mut meaning = cell(description.unwrap_or_default());
    for rule in inside["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some(message) = rule["message"].as_str() {
            add(&mut meaning, format_args!("<br>*{}*", cell(message)));
        }
    }
    meaning
}

fn default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => String::new(),
        Value::Object(object) if object.is_empty() => String::new(),
        other => code(&other.to_string()),
    }
}

/// What kind of value a schema wants, in a few words.
pub fn kind(document: &Value, schema: &Value) -> String {
    if let Some(name) = name_of(schema) {
        let target = resolve(document, schema);
        let is_object = target["properties"].is_object() || target["allOf"].is_array();
        return if is_object {
            code(name)
        } else {
            kind(document, target)
        };
    }
    let one_of = ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array());
    if let Some(several) = one_of.filter(|_| schema["type"].is_null()) {
        let kinds: Vec<_> = several
            .iter()
            .map(|one| kind(document, one))
            .filter(|kind| kind != "null")
            .collect();
        return kinds.join(" or ");
    }
    if let Some(constant) = schema.get("const") {
        return code(&constant.to_string());
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter(|value| !value.is_null());
        return values
            .map(|value| code(value.as_str().unwrap_or(&value.to_string())))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    let mut kinds: Vec<String> = Vec::new();
    for name in types {
        kinds.push(match name {
            "array" => format!("list of {}", kind(document, &schema["items"])),
            "string" => schema["format"].as_str().map_or("text".to_owned(), str::to_owned),
            "null" => "null".to_owned(),
            other => other.to_owned(),
        });
    }
    if kinds.is_empty() && schema["x-kubernetes-int-or-string"] == true {
        kinds.push("number or text".to_owned());
    }
    format!("{}{}", kinds.join(" or "), bounds(schema))
}

fn bounds(schema: &Value) -> String {
    for (least, most, unit) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ] {
        let (least, most) = (number(&schema[least]), number(&schema[most]));
        match (least, most) {
            (Some(least), Some(most)) => return format!(", {least} to {most}{unit}"),
            (Some(least), None) if least != "0" => return format!(", {least}{unit} at least"),
            (None, Some(most)) => return format!(", {most}{unit} at most"),
            _ => {}
        }
    }
    String::new()
}

fn number(value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    // 1.0 is how schemars writes 1.
    Some(if number.fract() == 0.0 {
        format!("{number:.0}")
    } else {
        number.to_string()
    })
}

/// Rows of a table: name, kind, whether it must be there, default, meaning.
pub fn rows(fields: &[Field]) -> Vec<Vec<String>> {
    let row = |field: &Field| {
        let required = if field.required { "yes" } else { "" };
        vec![
            code(&field.path),
            field.kind.clone(),
            required.to_owned(),
            field.default.clone(),
            field.meaning.clone(),
        ]
    };
    fields.iter().map(row).collect()
}

/// The head of [`rows`].
pub const HEAD: [&str; 5] = ["field", "value", "needed", "default", "meaning"];
