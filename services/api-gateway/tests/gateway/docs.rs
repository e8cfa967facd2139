//! The description of the API.

use serde_json::Value;

use crate::support::Gateway;

#[tokio::test]
async fn the_document_describes_every_call_of_the_api() {
    let gateway = Gateway::start(&[]).await;
    let document: Value = gateway
        .get("/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    let mut calls = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            calls.push(format!("{} {path}", method.to_uppercase()));
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says what it does"
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.contains_key("429") && responses.contains_key("503"),
                "{method} {path}"
            );
            let refusals = responses.iter().filter(|(status, _)| status.starts_with('4'));
            for (status, response) in refusals {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {status}");
            }
            let secured = operation["security"].is_array();
            let expected = !matches!(
                (method.as_str(), path.as_str()),
                (
                    "get",
                    "/products"
                        | "/products/{id}"
                        | "/problems"
                        | "/problems/{name}"
                        | "/healthz"
                        | "/readyz"
                ) | (
                    _,
                    "/auth/register" | "/auth/login" | "/auth/refresh" | "/auth/logout"
                )
            );
            assert_eq!(secured, expected, "{method} {path}");
            // Nobody's call, and one that anybody may make, are told apart.
            if !path.contains('{') {
                let answer = gateway.call(&method.to_uppercase(), path).send().await.unwrap();
                assert_eq!(answer.status() == 401, secured, "{method} {path}");
            }
        }
    }
    calls.sort();
    assert_eq!(
        calls,
        [
            "DELETE /products/{id}",
            "GET /healthz",
            "GET /orders",
            "GET /orders/{id}",
            "GET /orders/{id}/events",
            "GET /problems",
            "GET /problems/{name}",
            "GET /products",
            "GET /products/{id}",
            "GET /products/{id}/stock/movements",
            "GET /readyz",
            "GET /users",
            "GET /users/me",
            "PATCH /orders/{id}",
            "PATCH /products/{id}",
            "PATCH /users/{id}",
            "POST /auth/login",
            "POST /auth/logout",
            "POST /auth/refresh",
            "POST /auth/register",
            "POST /orders",
            "POST /products",
            "POST /products/{id}/stock",
            "PUT /users/me",
        ]
    );
    gateway.stop().await;
}

/// The document that is kept with the sources is what the next version is compared with (tests/lint/run).
#[tokio::test]
async fn the_document_that_is_kept_is_the_one_that_is_served() {
    let kept: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let gateway = Gateway::start(&[]).await;
    let served: Value = gateway
        .get("/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    gateway.stop().await;
    for (name, part) in served["paths"].as_object().unwrap() {
        assert_eq!(
            kept["paths"][name], *part,
            "{name}: write the document anew, with `api-gateway openapi >docs/openapi.json`"
        );
    }
    assert!(
        kept == served,
        "write the document anew, with `api-gateway openapi >docs/openapi.json`"
    );
}

#[tokio::test]
async fn the_pages_come_with_everything_they_need() {
    let gateway = Gateway::start(&[]).await;
    let page = gateway.get("/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    let page = page.text().await.unwrap();
    let parts: Vec<&str> = page
        .split(['"', '\''])
        .filter(|part| matches!(part.rsplit_once('.'), Some((_, "js" | "css"))))
        .collect();
    assert!(parts.len() >= 3, "{page}");
    for part in parts {
        let path = format!("/docs/{}", part.trim_start_matches("./"));
        let answer = gateway.get(&path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_ne!(answer.content_length(), Some(0), "{path}");
    }
    let root = gateway.get("/").send().await.unwrap();
    assert_eq!(
        (root.status().as_u16(), &root.headers()["location"]),
        (307, &"/docs/".parse().unwrap())
    );
    gateway.stop().await;
}
