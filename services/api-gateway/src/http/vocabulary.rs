//! The words of the API: what each field means and how long or large it may be, the same wherever it occurs, and the names
//! of calls and lists. The description of the API is made from the handlers, which say what is theirs alone; what is common
//! to all of them is said here, once.

use chassis::idempotency::MAX_KEY_LENGTH;
use proto::limits;
use rules::{account, email, order, password, product};
use serde_json::{Map, Value, json};

use super::conditional;

pub(super) const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const SCHEMAS: &str = "#/components/schemas/";
/// What the generator calls the list of something.
const LIST_OF: &str = "List_";
/// Later versions may add values, whose names are no longer.
const LONGEST_NAME: usize = 64;

/// Names every call by one rule and every list after what is on it, and says of each field what its name means.
pub(super) fn apply(document: &mut Value) {
    name_lists(document);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, operations) in paths {
            for method in METHODS {
                if let Some(operation) = operations.get_mut(method) {
                    let id = operation_id(method, path, operation);
                    operation["operationId"] = id.into();
                    describe_parameters(operation);
                }
            }
        }
    }
    let schemas = document["components"]["schemas"].as_object_mut();
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, property) in properties {
                describe(name, property);
            }
        }
    }
}

/// `listProducts`, `getProduct`, `createProduct`, `postProductStock`: what is done, and the path, of which what is before an
/// id is named in the singular. What is posted to `/auth` is called as it is there.
fn operation_id(method: &str, path: &str, operation: &Value) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if let ("post", ["auth", action]) = (method, segments.as_slice()) {
        return (*action).to_owned();
    }
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    let is_collection = segments.last().is_some_and(|last| last.ends_with('s'));
    let (verb, makes_one) = match method {
        "get" if answer.as_str().is_some_and(|schema| schema.ends_with("List")) => ("list", false),
        "post" if is_collection => ("create", true),
        "patch" => ("update", false),
        method => (method, false),
    };
    let mut name = verb.to_owned();
    for (position, segment) in segments.iter().enumerate() {
        if segment.starts_with('{') {
            continue;
        }
        let next = segments.get(position + 1);
        let is_one = next.map_or(makes_one, |next| next.starts_with('{'));
        let word = if is_one {
            singular(segment)
        } else {
            (*segment).to_owned()
        };
        for part in word.split(['-', '.', '_']) {
            let mut letters = part.chars();
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
    }
    name
}

pub(super) fn singular(plural: &str) -> String {
    match plural.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

/// `List_Product` becomes `ProductList`, whose items are the products that are described already.
fn name_lists(document: &mut Value) {
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        let lists: Vec<String> = schemas
            .keys()
            .filter(|name| name.starts_with(LIST_OF))
            .cloned()
            .collect();
        for list in lists {
            let item = &list[LIST_OF.len()..];
            if let Some(mut schema) = schemas.remove(&list) {
                schema["properties"]["items"]["items"] = json!({ "$ref": format!("{SCHEMAS}{item}") });
                schemas.insert(list_of(item), schema);
            }
        }
    }
    rename_references(document);
}

fn list_of(item: &str) -> String {
    format!("{item}List")
}

fn rename_references(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(rename_references),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        let renamed = reference
                            .strip_prefix(SCHEMAS)
                            .and_then(|schema| schema.strip_prefix(LIST_OF))
                            .map(|item| format!("{SCHEMAS}{}", list_of(item)));
                        if let Some(renamed) = renamed {
                            *reference = renamed;
                        }
                    }
                    value => rename_references(value),
                }
            }
        }
        _ => {}
    }
}

/// A parameter that may be left out is no parameter that may be null.
fn describe_parameters(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let schema = &mut parameter["schema"];
        if let Some(kind) = one_kind(schema) {
            schema["type"] = kind.into();
        }
        describe(&name, schema);
        if let (None, Some(description)) = (
            parameter.get("description"),
            parameter["schema"].get("description").cloned(),
        ) {
            parameter["description"] = description;
        }
    }
}

/// The type of a schema, without regard to whether it may be null; none of a reference.
fn one_kind(schema: &Value) -> Option<String> {
    match &schema["type"] {
        Value::String(kind) => Some(kind.clone()),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .map(str::to_owned),
        _ => None,
    }
}

/// Adds to a field what its name says, and what the handler has not said itself.
fn describe(name: &str, field: &mut Value) {
    let kind = one_kind(field).unwrap_or_default();
    let Some(fields) = field.as_object_mut() else {
        return;
    };
    if kind == "number" {
        // Digits as they stand; a float would round them.
        fields.insert("format".to_owned(), "decimal".into());
    }
    let Some((description, limits)) = word(name, &kind) else {
        return;
    };
    fields.entry("description").or_insert_with(|| description.into());
    let Value::Object(limits) = limits else { return };
    if !fields.contains_key("enum") {
        for (limit, value) in limits {
            fields.entry(limit).or_insert(value);
        }
    }
}

/// What a field of that name and type means, and its limits. What a handler says itself goes before.
fn word(name: &str, kind: &str) -> Option<(&'static str, Value)> {
    let up_to = |longest: usize| json!({ "maxLength": longest });
    let uuid = json!({ "format": "uuid" });
    let time = json!({ "format": "date-time" });
    let number = json!({ "minimum": i64::MIN, "maximum": i64::MAX });
    let word = match (name, kind) {
        ("id", "string") => ("The id, a UUIDv7.", uuid),
        ("id", "integer") => ("The number, which grows with time.", json!({ "minimum": 1 })),
        ("product_id", _) => ("The product.", uuid),
        ("user_id", _) => ("Whose it is.", uuid),
        ("order_id", _) => ("The order.", uuid),
        ("sku", _) => ("Stock keeping unit.", up_to(limits::PRODUCT_SKU)),
        ("name", _) => ("What it is called.", up_to(limits::PRODUCT_NAME)),
        ("description", _) => (
            "What is said of it; empty where nothing is.",
            up_to(limits::PRODUCT_DESCRIPTION),
        ),
        ("category", _) => (
            "What it is among; null for nothing in particular.",
            up_to(limits::PRODUCT_CATEGORY),
        ),
        ("image_url", _) => (
            "Where its image is.",
            json!({ "format": "uri", "maxLength": limits::PRODUCT_IMAGE_URL }),
        ),
        ("currency", _) => ("A code of ISO 4217.", json!({ "pattern": "^[A-Z]{3}$" })),
        ("price" | "total", "number") => ("A decimal number, exact.", json!({ "minimum": 0 })),
        ("stock", _) => ("Units for sale.", json!({ "minimum": 0 })),
        ("availability", _) => (
            "Whether there are units enough, few or none.",
            up_to(LONGEST_NAME),
        ),
        ("quantity", _) => (
            "How many.",
            json!({ "minimum": 1, "maximum": order::MAX_QUANTITY }),
        ),
        ("delta", _) => ("Units that come, or that go where negative.", number),
        ("version" | "total", _) => ("How many.", json!({ "minimum": 0 })),
        ("products", "integer") => ("How many products.", json!({ "minimum": 0 })),
        ("page", _) => ("The page, from 1.", json!({ "minimum": 1, "maximum": 10_000 })),
        ("page_size", _) => (
            "The most on a page.",
            json!({ "minimum": 1, "maximum": limits::PAGE_SIZE }),
        ),
        ("items", _) => ("What is there.", json!({ "maxItems": limits::PAGE_SIZE })),
        ("errors", _) => ("Each field at fault.", json!({ "maxItems": 1_000 })),
        ("status" | "kind" | "role" | "event", "string") => ("What it is at.", up_to(LONGEST_NAME)),
        ("status", "integer") => ("The HTTP status.", json!({ "minimum": 100, "maximum": 599 })),
        ("status" | "role", _) => ("What it is to be.", json!({})),
        ("reason", _) => ("Why.", up_to(limits::MOVEMENT_REASON)),
        ("rejection", _) => ("Why it was rejected.", json!({})),
        ("user", _) => ("The account.", json!({})),
        ("disabled", _) => ("Whether it is kept from logging in.", json!({})),
        ("email", _) => (
            "The address.",
            json!({ "format": "email", "maxLength": email::MAX_LENGTH }),
        ),
        ("password" | "current_password" | "new_password", _) => {
            ("A password.", up_to(password::LONGEST_TYPED))
        }
        ("token", _) => ("A token.", up_to(4_096)),
        ("code", _) => ("A code of six digits.", up_to(account::LONGEST_CODE)),
        ("otpauth_uri", _) => (
            "What an app scans.",
            json!({ "format": "uri", "maxLength": 1_024 }),
        ),
        ("recovery_code", _) => ("A recovery code.", up_to(account::LONGEST_CODE)),
        ("device_token", _) => ("What a device is known by.", up_to(account::LONGEST_DEVICE_TOKEN)),
        ("refresh_token", _) => ("A token, good once.", up_to(account::LONGEST_REFRESH_TOKEN)),
        ("expires_in", _) => ("Seconds.", json!({ "minimum": 0 })),
        ("created_at", _) => ("Since when it is there.", time),
        ("updated_at", _) => ("When it last changed.", time),
        ("type", _) => (
            "The kind of problem.",
            json!({ "format": "uri-reference", "maxLength": 200 }),
        ),
        ("title", _) => ("In words.", up_to(200)),
        ("detail", _) => ("In this case.", up_to(4_096)),
        ("field", _) => ("Where.", up_to(1_024)),
        ("trace_id", _) => ("Of this request.", json!({ "pattern": "^[0-9a-f]{32}$" })),
        ("data", _) => ("JSON.", up_to(1_048_576)),
        ("cursor" | "next", _) => ("Where to go on.", up_to(limits::CURSOR)),
        ("q", _) => ("Words to find.", up_to(product::MAX_QUERY)),
        ("Idempotency-Key", _) => (
            "A key.",
            json!({ "pattern": "^[!-~]+$", "minLength": 1, "maxLength": MAX_KEY_LENGTH }),
        ),
        ("If-Match" | "If-None-Match", _) => (
            "`*`, or tags with commas between.",
            up_to(conditional::LONGEST_LIST),
        ),
        _ => return None,
    };
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_by_one_rule() {
        let list = json!({ "responses": { "200": { "content": { "application/json": { "schema": {
            "$ref": "#/components/schemas/ProductList"
        } } } } } });
        for (method, path, operation, expected) in [
            ("get", "/products", &list, "listProducts"),
            ("get", "/products/{id}", &Value::Null, "getProduct"),
            ("post", "/products", &Value::Null, "createProduct"),
            ("patch", "/products/{id}", &Value::Null, "updateProduct"),
            ("delete", "/products/{id}", &Value::Null, "deleteProduct"),
            ("post", "/products/{id}/stock", &Value::Null, "postProductStock"),
            (
                "get",
                "/products/{id}/stock/movements",
                &list,
                "listProductStockMovements",
            ),
            ("get", "/categories", &list, "listCategories"),
            ("get", "/users/me", &Value::Null, "getUsersMe"),
            (
                "delete",
                "/users/me/sessions/{id}",
                &Value::Null,
                "deleteUsersMeSession",
            ),
            ("post", "/auth/login", &Value::Null, "login"),
            ("get", "/healthz", &Value::Null, "getHealthz"),
        ] {
            assert_eq!(operation_id(method, path, operation), expected);
        }
    }
}
