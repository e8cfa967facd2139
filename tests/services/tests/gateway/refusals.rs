//! What is refused of requests of those who are logged in, on every operation of the OpenAPI document. Of those who are not:
//! `requests.rs`.

use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    shop::Shop,
    support::{is, problem},
};

#[tokio::test]
async fn null_clears_what_may_be_missing_and_is_refused_elsewhere() {
    let shop = Shop::open().await;
    let call = async |method: &str, path: &str, body: Value| {
        let call = shop.gateway.call(method, path).bearer_auth(&shop.token);
        let answer = call.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let cup = json!({
        "name": "Cup", "price": 1, "currency": "EUR", "category": "cups", "description": "white", "sku": null,
        "image_url": "https://images.example/cup.png",
    });
    let (status, product) = call("POST", "/products", cup).await;
    assert_eq!(status, 201, "{product}");
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let change = json!({ "category": null, "description": null, "image_url": null });
    let (status, cleared) = call("PATCH", &path, change).await;
    assert_eq!(status, 200, "{cleared}");
    assert_eq!(
        (
            &cleared["category"],
            &cleared["description"],
            &cleared["image_url"]
        ),
        (&Value::Null, &json!(""), &Value::Null)
    );
    assert_eq!(cleared["name"], "Cup");
    let (status, named) = call("PUT", "/users/me", json!({ "name": "Ada" })).await;
    assert_eq!((status, &named["name"]), (200, &json!("Ada")));
    let (status, cleared) = call("PUT", "/users/me", json!({ "name": null })).await;
    assert_eq!((status, &cleared["name"]), (200, &json!("")));

    let user = format!("/users/{}", shop.admin);
    for (method, path, field) in [
        ("PATCH", path.as_str(), "name"),
        ("PATCH", &path, "price"),
        ("PATCH", &path, "currency"),
        ("PATCH", &path, "sku"),
        ("POST", "/products", "stock"),
        ("PATCH", &user, "role"),
        ("PATCH", &user, "disabled"),
        ("PUT", "/users/me", "new_password"),
    ] {
        let (status, refused) = call(method, path, json!({ field: null })).await;
        assert_eq!(status, 422, "{method} {path} {field}: {refused}");
        let errors = refused["errors"].as_array().unwrap();
        let told = errors.iter().find(|error| error["field"] == field).unwrap();
        assert!(told["detail"].as_str().unwrap().contains("not"), "{told}");
    }
    shop.close().await;
}

/// The rules of `requests.rs`, on what only an admin may ask for.
#[tokio::test]
async fn every_operation_for_admins_refuses_what_it_does_not_know() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let at = path.replace("{id}", &Uuid::now_v7().to_string());
        for (method, operation) in item.as_object().unwrap() {
            if !operation["security"].is_array() {
                continue;
            }
            operations += 1;
            let call = |at: &str, media_type: &str, body: &'static str| {
                let call = shop.gateway.call(&method.to_uppercase(), at);
                let call = call.bearer_auth(&shop.token).header("content-type", media_type);
                call.body(body).send()
            };
            let fields = async |answer: Response| {
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(answer["status"], 422, "{method} {path}: {answer}");
                answer["errors"].to_string()
            };
            let unknown = call(&format!("{at}?colour=red&size=1"), "application/json", "{}");
            let unknown = fields(unknown.await.unwrap()).await;
            assert!(
                unknown.contains("colour") && unknown.contains("size"),
                "{method} {path}: {unknown}"
            );
            let garbled = call(&format!("{at}?%ff=1"), "application/json", "{}")
                .await
                .unwrap();
            assert_eq!(
                problem(garbled).await,
                is(400, "malformed-query"),
                "{method} {path}"
            );
            if operation["requestBody"]["required"] == true {
                let other = call(&at, "text/plain", "{}").await.unwrap();
                assert_eq!(
                    problem(other).await,
                    is(415, "unsupported-media-type"),
                    "{method} {path}"
                );
                let unknown = call(&at, "application/json", r#"{"colour": 1, "size": [{}]}"#);
                let unknown = fields(unknown.await.unwrap()).await;
                assert!(
                    unknown.contains("colour") && unknown.contains("size"),
                    "{method} {path}: {unknown}"
                );
            }
        }
    }
    assert!(operations >= 12, "{operations}");
    shop.close().await;
}
