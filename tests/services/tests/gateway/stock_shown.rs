//! What is shown of a product's stock, on every route that shows a product, and to whom.

use std::collections::BTreeSet;

use reqwest::Response;
use serde_json::{Value, json};

use crate::shop::Shop;

/// Units that are nowhere by chance.
const UNITS: i64 = 471_147;

/// What an answer shows of the stock: the units, and the availability.
type Shown = (Option<i64>, Option<&'static str>);

/// Every operation that answers with products, and whether only admins get that answer.
const OPERATIONS: [(&str, &str, bool); 6] = [
    ("get", "/products", false),
    ("get", "/products/{id}", false),
    ("post", "/products", true),
    ("patch", "/products/{id}", true),
    ("delete", "/products/{id}", true),
    ("post", "/products/{id}/stock", true),
];

fn shows_products(operation: &Value) -> bool {
    let responses = operation["responses"].to_string();
    ["Product", "ProductList"]
        .iter()
        .any(|schema| responses.contains(&format!("\"#/components/schemas/{schema}\"")))
}

async fn send(shop: &Shop, method: &str, path: &str, body: &Value, token: Option<&str>) -> Response {
    let mut request = shop.gateway.call(&method.to_uppercase(), path);
    if !body.is_null() {
        request = request.json(body);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Vec<&'a str> {
    let values = answer.headers().get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

async fn shown(answer: Response) -> (Option<i64>, Option<String>, String) {
    let text = answer.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let product = answer["items"].get(0).unwrap_or(&answer);
    assert!(product["id"].is_string(), "{answer}");
    (
        product["stock"].as_i64(),
        product["availability"].as_str().map(str::to_owned),
        text,
    )
}

async fn try_every_operation(setting: &str, strangers: impl Fn(i64) -> Shown) {
    let shop = Shop::open_with(&[&format!("--show-stock={setting}"), "--low-stock=3"]).await;
    let document = shop.gateway.json("/openapi.json").await;
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().iter();
            let shown = operations.filter(|(_, operation)| shows_products(operation));
            shown.map(move |(method, _)| (method.clone(), path.clone()))
        })
        .collect();
    let known = OPERATIONS.map(|(method, path, _)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, BTreeSet::from(known), "each has a row here");

    let token = shop.token.clone();
    for (units, availability) in [(UNITS, "in_stock"), (3, "low"), (0, "out")] {
        let new = json!({ "name": "Cup", "price": 1, "stock": units });
        let made = send(&shop, "post", "/products", &new, Some(&token)).await;
        let made: Value = made.json().await.unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        for (method, path, for_admins) in OPERATIONS {
            let path = path.replace("{id}", &id);
            let (body, now) = match (method, path.ends_with("/stock")) {
                ("post", false) => (new.clone(), units),
                ("post", true) => (json!({ "delta": 1, "reason": "found" }), units + 1),
                ("patch", _) => (json!({ "name": "Mug" }), units),
                _ => (Value::Null, units),
            };
            // The last operation in a product's life has one of its own.
            let path = if method == "delete" {
                let other = send(&shop, "post", "/products", &new, Some(&token)).await;
                let other: Value = other.json().await.unwrap();
                format!("/products/{}", other["id"].as_str().unwrap())
            } else {
                path
            };
            if !for_admins {
                let expected = strangers(now);
                for stranger in [None, Some("no.token.at.all")] {
                    let answer = send(&shop, method, &path, &body, stranger).await;
                    assert_eq!(header(&answer, "cache-control"), ["public, max-age=5"]);
                    let varies = header(&answer, "vary").join(",").contains("authorization");
                    assert_eq!(varies, setting != "exact", "{method} {path}");
                    let (stock, available, text) = shown(answer).await;
                    assert_eq!((stock, available.as_deref()), expected, "{method} {path}");
                    let tells = text.contains(&UNITS.to_string());
                    assert!(setting == "exact" || !tells, "{method} {path}: {text}");
                }
            }
            let answer = send(&shop, method, &path, &body, Some(&token)).await;
            let kept_for_others = header(&answer, "cache-control").join(",").contains("public");
            assert_eq!(
                kept_for_others,
                setting == "exact" && method == "get",
                "{method} {path}"
            );
            let (stock, available, _) = shown(answer).await;
            assert_eq!(
                (stock, available.is_some()),
                (Some(now), true),
                "admins see all: {method} {path}"
            );
            if method == "get" {
                assert_eq!(available.as_deref(), Some(availability));
            }
        }
        // A tag tells no more than what it is the tag of.
        let path = format!("/products/{id}");
        let tag = async |token: Option<&str>| {
            let answer = send(&shop, "get", &path, &Value::Null, token).await;
            assert_eq!(answer.status(), 200, "{path}");
            header(&answer, "etag")[0].to_owned()
        };
        let (before, admins) = (tag(None).await, tag(Some(&token)).await);
        let seen = strangers(units + 1);
        let adjust = json!({ "delta": 1, "reason": "found" });
        send(&shop, "post", &format!("{path}/stock"), &adjust, Some(&token)).await;
        assert_eq!(tag(None).await == before, strangers(units + 2) == seen);
        assert_ne!(tag(Some(&token)).await, admins);
    }
    shop.close().await;
}

fn availability(units: i64) -> &'static str {
    match units {
        0 => "out",
        1..=3 => "low",
        _ => "in_stock",
    }
}

#[tokio::test]
async fn everybody_sees_exact_stock_where_nothing_else_is_said() {
    try_every_operation("exact", |units| (Some(units), Some(availability(units)))).await;
}

#[tokio::test]
async fn strangers_see_buckets() {
    try_every_operation("bucketed", |units| (None, Some(availability(units)))).await;
}

#[tokio::test]
async fn strangers_see_nothing_of_hidden_stock() {
    try_every_operation("hidden", |_| (None, None)).await;
}
