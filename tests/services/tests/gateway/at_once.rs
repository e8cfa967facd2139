//! Everything that is wrong with a request is told at once: in whichever part of it, and whether it is a type, a value or a
//! rule of several fields. What the OpenAPI document says of a field is tried on every operation.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::Shop;

/// Where the document says more than is refused, and why.
const NOT_REFUSED: [(&str, &str); 1] = [
    // Who comes with it has no account, and is told so as anybody who has none.
    ("/auth/login email", "format"),
];

/// Values of a field that its schema rules out, each with the keyword that does.
fn wrong_values(schema: &Value) -> Vec<(&'static str, Value)> {
    let mut wrong = Vec::new();
    let number = |keyword: &str| schema[keyword].as_i64();
    let text = |length: i64| Value::from("a".repeat(usize::try_from(length).unwrap()));
    if let Some(longest) = number("maxLength") {
        wrong.push(("maxLength", text(longest + 1)));
    }
    if let Some(shortest) = number("minLength").filter(|shortest| *shortest > 0) {
        wrong.push(("minLength", text(shortest - 1)));
    }
    if let Some(least) = number("minimum").filter(|least| *least > i64::MIN) {
        wrong.push(("minimum", (least - 1).into()));
    }
    if let Some(most) = number("maximum").filter(|most| *most < i64::MAX) {
        wrong.push(("maximum", (most + 1).into()));
    }
    if number("minItems") > Some(0) {
        wrong.push(("minItems", json!([])));
    }
    for keyword in ["pattern", "format"] {
        if schema[keyword].is_string() && schema[keyword] != "decimal" && !is_number(schema) {
            wrong.push((keyword, "!".into()));
        }
    }
    wrong
}

/// Formats of numbers say how wide they are.
fn is_number(schema: &Value) -> bool {
    let kind = schema["type"].to_string();
    kind.contains("integer") || kind.contains("number")
}

/// The longest text that the schema lets be, where that is all it says of it.
fn longest(schema: &Value) -> Option<Value> {
    let says_more = ["format", "pattern", "enum"]
        .iter()
        .any(|keyword| schema[*keyword].is_string());
    let longest = schema["maxLength"].as_u64().filter(|_| !says_more)?;
    Some("a".repeat(usize::try_from(longest).unwrap()).into())
}

/// Each field that a body has, and the items of its arrays, as a path and a schema.
fn fields(document: &Value, schema: &Value, within: &[&str]) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    let named = schema["$ref"].as_str().map(|name| name.trim_start_matches('#'));
    let schema = named.map_or(schema, |name| document.pointer(name).unwrap());
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path: Vec<&str> = within.iter().copied().chain([name.as_str()]).collect();
        found.push((
            path.iter().map(|part| (*part).to_owned()).collect(),
            field.clone(),
        ));
        if field["items"].is_object() {
            found.extend(fields(document, &field["items"], &path));
        }
    }
    found
}

/// A body with that value at the path, and another field of the same object that is of a wrong type or not known; how the
/// two are named.
fn body(path: &[String], value: &Value, beside: Option<&str>) -> (Value, [String; 2]) {
    let (name, beside) = (path.last().unwrap(), beside.unwrap_or("colour"));
    let mut body = json!({ name: value, beside: { "a": 1 } });
    let mut place = String::new();
    for array in path[..path.len() - 1].iter().rev() {
        body = json!({ array: [body] });
        place = format!("{array}[0].{place}");
    }
    (body, [format!("{place}{name}"), format!("{place}{beside}")])
}

#[tokio::test]
async fn a_wrong_type_and_a_wrong_value_are_told_at_once() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    let mut tried = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let all = fields(&document, schema, &[]);
            let at = path.replace("{id}", &Uuid::now_v7().to_string());
            let refused = async |body: &Value| {
                let call = shop
                    .gateway
                    .call(&method.to_uppercase(), &at)
                    .bearer_auth(&shop.token);
                let answer: Value = call.json(body).send().await.unwrap().json().await.unwrap();
                assert_eq!(answer["status"], 422, "{method} {path} {body}: {answer}");
                let errors = answer["errors"].as_array().unwrap().iter();
                let told: Vec<String> = errors
                    .map(|error| error["field"].as_str().unwrap().to_owned())
                    .collect();
                let each: BTreeSet<_> = told.iter().collect();
                assert_eq!(each.len(), told.len(), "each once: {answer}");
                told
            };
            for (field, schema) in &all {
                let within = &field[..field.len() - 1];
                let beside = all
                    .iter()
                    .find(|(other, _)| {
                        other.starts_with(within) && other.len() == field.len() && other != field
                    })
                    .map(|(other, _)| other.last().unwrap().as_str());
                let name = format!("{path} {}", field.join("."));
                for (keyword, value) in wrong_values(schema) {
                    if NOT_REFUSED.contains(&(name.as_str(), keyword)) {
                        continue;
                    }
                    let (body, names) = body(field, &value, beside);
                    let told = refused(&body).await;
                    for expected in &names {
                        assert!(
                            told.contains(expected),
                            "{method} {name} {keyword}: {expected} in {told:?}"
                        );
                    }
                    tried.insert(format!("{method} {path}"));
                }
                // What is chosen as a password is to be hard to guess besides.
                let is_chosen = matches!(field.last().unwrap().as_str(), "password" | "new_password")
                    && path != "/auth/login";
                if let Some(value) = longest(schema).filter(|_| !is_chosen) {
                    let (body, [named, _]) = body(field, &value, beside);
                    let told = refused(&body).await;
                    assert!(
                        !told.contains(&named),
                        "{method} {name}: as long as may be, {told:?}"
                    );
                }
            }
        }
    }
    assert!(tried.len() >= 11, "{tried:?}");
    shop.close().await;
}

#[tokio::test]
async fn wrong_values_in_a_query_are_told_at_once() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            for (keyword, value) in wrong_values(&parameter["schema"]) {
                if NOT_REFUSED.contains(&(format!("{path} {name}").as_str(), keyword)) {
                    continue;
                }
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let at = path.replace("{id}", "me");
                let at = format!("{at}?{name}={value}&colour=red");
                let call = shop.gateway.get(&at).bearer_auth(&shop.token);
                let answer: Value = call.send().await.unwrap().json().await.unwrap();
                let told = answer["errors"].to_string();
                let is_told = |field: &str| told.contains(&format!("\"field\":\"{field}\""));
                assert!(
                    is_told(name) && is_told("colour") && is_told("id") == path.contains("{id}"),
                    "{path} {name} {keyword}: {answer}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried >= 30, "{tried}");
    shop.close().await;
}

/// Whatever a request has: the path, the query, headers and the body are one answer.
#[tokio::test]
async fn all_parts_of_a_request_are_told_of_at_once() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut expected = BTreeSet::from(["colour"]);
            let has = |place: &str, name: &str| {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                parameters
                    .clone()
                    .any(|parameter| parameter["in"] == place && parameter["name"] == name)
            };
            let at = path.replace("{id}", "x").replace("{name}", "not-found");
            let mut call = shop
                .gateway
                .call(&method.to_uppercase(), &format!("{at}?colour=red"));
            if path.contains("{id}") {
                expected.insert("id");
            }
            if has("header", "Idempotency-Key") || method == "post" {
                expected.insert("Idempotency-Key");
                call = call.header("idempotency-key", "a b");
            }
            for tags in ["If-Match", "If-None-Match"] {
                if has("header", tags) {
                    expected.insert(tags);
                    call = call.header(tags, "a".repeat(4097));
                }
            }
            if operation["requestBody"].is_object() {
                expected.insert("size");
                call = call.json(&json!({ "size": 1 }));
            }
            let answer = call.bearer_auth(&shop.token).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            let told: BTreeSet<_> = answer["errors"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|error| error["detail"] != "is missing")
                .map(|error| error["field"].as_str().unwrap())
                .collect();
            assert_eq!(told, expected, "{method} {path}: {answer}");
        }
    }
    let stock = shop
        .gateway
        .post("/products/x/stock?colour=red")
        .bearer_auth(&shop.token)
        .header("idempotency-key", "a b")
        .json(&json!({ "delta": 0, "reason": 7 }));
    let answer: Value = stock.send().await.unwrap().json().await.unwrap();
    let told: Vec<&str> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["colour", "id", "Idempotency-Key", "reason", "delta"]);
    shop.close().await;
}

/// What no schema says: rules of several fields, of texts, of what there is in the world.
#[tokio::test]
async fn rules_beyond_the_schema_are_told_with_the_rest() {
    let shop = Shop::open().await;
    let product = format!("/products/{}", Uuid::now_v7());
    let line = |product: &str, quantity: i64| json!({ "product_id": product, "quantity": quantity });
    let some = Uuid::now_v7().to_string();
    for (method, path, body, expected) in [
        (
            "POST",
            "/auth/register",
            json!({ "email": "ädä@example.com", "password": "password", "name": "a\u{202e}b", "age": 1 }),
            vec!["age", "email", "password", "name"],
        ),
        (
            "POST",
            "/auth/register",
            json!({ "email": 1, "password": "password" }),
            vec!["email", "password"],
        ),
        (
            "PUT",
            "/users/me",
            json!({ "name": 1, "new_password": "12345678" }),
            vec!["name", "new_password", "current_password"],
        ),
        (
            "POST",
            "/products",
            json!({ "name": "\u{200b}", "price": 1.005, "currency": "EUR", "stock": true, "image_url": "ftp://a" }),
            vec!["stock", "name", "image_url", "price"],
        ),
        // What currency the price is in nobody knows; that it is negative is wrong in any.
        (
            "POST",
            "/products",
            json!({ "name": "Cup", "price": 1.005, "currency": "XAU", "stock": -1 }),
            vec!["currency", "stock"],
        ),
        (
            "POST",
            "/products",
            json!({ "name": "Cup", "price": -1, "currency": 7 }),
            vec!["currency", "price"],
        ),
        (
            "PATCH",
            &product,
            json!({ "price": -1, "sku": "", "name": 1 }),
            vec!["name", "sku", "price"],
        ),
        (
            "POST",
            "/orders",
            json!({ "items": [line(&some, 0), line("cup", 1), { "product_id": some, "quantity": "2" }] }),
            vec!["items[2].quantity", "items[0].quantity", "items[1].product_id"],
        ),
        (
            "POST",
            "/orders",
            json!({ "items": [line(&some, 9_999), line(&some, 2)] }),
            vec!["items[1].quantity"],
        ),
        (
            "POST",
            "/orders",
            json!({ "items": vec![line(&some, 1); 101], "to": 1 }),
            vec!["to", "items"],
        ),
    ] {
        let call = shop
            .gateway
            .call(method, path)
            .bearer_auth(&shop.token)
            .json(&body);
        let answer: Value = call.send().await.unwrap().json().await.unwrap();
        let told: Vec<&str> = answer["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("{body}: {answer}"))
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(told, expected, "{method} {path} {body}: {answer}");
    }
    shop.close().await;
}
