//! The description of the API.

use serde_json::Value;

use crate::support::Gateway;

#[tokio::test]
async fn the_document_describes_every_call_of_the_api() {
    let gateway = Gateway::start(&[]).await;
    let document = gateway.json("/openapi.json").await;
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
                    "/categories"
                        | "/products"
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
            "DELETE /users/me/mfa",
            "DELETE /users/me/sessions",
            "DELETE /users/me/sessions/{id}",
            "DELETE /users/{id}/mfa",
            "GET /audit",
            "GET /categories",
            "GET /dead-letters",
            "GET /flow",
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
            "GET /users/me/mfa",
            "GET /users/me/sessions",
            "GET /users/{id}",
            "PATCH /orders/{id}",
            "PATCH /products/{id}",
            "PATCH /users/{id}",
            "POST /auth/login",
            "POST /auth/logout",
            "POST /auth/refresh",
            "POST /auth/register",
            "POST /dead-letters/redrive",
            "POST /orders",
            "POST /products",
            "POST /products/{id}/stock",
            "POST /users/me/mfa",
            "POST /users/me/mfa/confirm",
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
    let served = gateway.json("/openapi.json").await;
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

/// Every call that makes something is made once by its key; any other refuses one, as nobody may count on it.
#[tokio::test]
async fn a_post_honours_an_idempotency_key_or_refuses_it() {
    const MAKES_SOMETHING: [&str; 3] = ["/orders", "/products", "/products/{id}/stock"];
    let gateway = Gateway::start(&[]).await;
    let document = gateway.json("/openapi.json").await;
    let mut honoured = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(post) = operations.get("post") else {
            continue;
        };
        let parameters = post["parameters"].as_array().into_iter().flatten();
        if parameters
            .map(|parameter| &parameter["name"])
            .any(|name| name == "Idempotency-Key")
        {
            honoured.push(path.as_str());
            continue;
        }
        // Begun anew a second factor is begun once, and it is confirmed once; what is put back has left the dead letters. All are
        // for whoever is logged in.
        if path.starts_with("/users/me/mfa") || path == "/dead-letters/redrive" {
            continue;
        }
        assert!(path.starts_with("/auth/"), "does {path} make something?");
        let answer = gateway
            .post(path)
            .header("idempotency-key", "k")
            .json(&serde_json::json!({}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 422, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], "Idempotency-Key", "{path}");
    }
    assert_eq!(honoured, MAKES_SOMETHING);
    gateway.stop().await;
}

/// What a program is made from the document by: names that stay, limits that hold, and nothing said twice.
#[tokio::test]
async fn the_document_says_of_every_part_what_it_is() {
    let gateway = Gateway::start(&[]).await;
    let document = gateway.json("/openapi.json").await;
    let mut ids = std::collections::HashSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is the name of one call");
            assert!(
                id.len() > 3 && id.chars().all(char::is_alphanumeric),
                "{method} {path} {id}"
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{id} {parameter}");
                assert!(is_bounded(&parameter["schema"]), "{id} {parameter}");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                    assert!(
                        content["schema"]["$ref"].is_string(),
                        "{id} {status} {media_type}"
                    );
                }
            }
        }
    }
    for name in ["listProducts", "getProduct", "createOrder", "listOrders", "login"] {
        assert!(ids.contains(name), "{name}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (property, field) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{name}.{property}: {field}");
            assert!(field["description"].is_string(), "{place}");
            assert!(is_bounded(field), "{place}");
            for inline in [&field["properties"], &field["items"]["properties"]] {
                assert!(inline.is_null(), "{place}");
            }
        }
        // What is shown is always shown whole; only a list has nothing behind its end.
        let required = schema["required"].as_array().map_or(0, Vec::len)
            + usize::from(schema["properties"]["next"].is_object());
        if [
            "Product",
            "User",
            "Movement",
            "ProductList",
            "Category",
            "AuditRecord",
            "AuditRecordList",
        ]
        .contains(&name.as_str())
        {
            assert_eq!(
                required,
                schema["properties"].as_object().unwrap().len(),
                "{name}"
            );
        }
    }
    gateway.stop().await;
}

/// Whether a schema says how long, large or many its values may be, or which they are.
fn is_bounded(schema: &Value) -> bool {
    let is = |kind: &str| {
        let kinds = &schema["type"];
        kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&kind.into()))
    };
    let has = |names: &[&str]| names.iter().any(|name| !schema[*name].is_null());
    if is("string") {
        has(&["maxLength", "format", "pattern", "enum"])
    } else if is("array") {
        has(&["maxItems"])
    } else if is("integer") {
        has(&["minimum", "maximum"])
    } else if is("number") {
        schema["format"] == "decimal" && has(&["minimum"])
    } else {
        is("boolean") || has(&["$ref", "oneOf"])
    }
}

#[tokio::test]
async fn the_page_shows_every_call_and_brings_everything_it_needs() {
    let gateway = Gateway::start(&[]).await;
    let document = gateway.json("/openapi.json").await;
    let answer = gateway.get("/docs").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let tag = answer.headers()["etag"].clone();
    let page = answer.text().await.unwrap();
    for inline in ["<style", " style=\"", "<script>", " onclick=", "=\"http"] {
        assert!(
            !page.contains(inline),
            "nothing is inline or from elsewhere: {inline}"
        );
    }
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.contains(&format!("<article id=\"{id}\"")), "{method} {path}");
            for language in ["curl", "typescript", "python", "rust"] {
                let sample = format!("data-operation=\"{id}\" data-language=\"{language}\"");
                assert!(page.contains(&sample), "{id} {language}");
            }
        }
    }
    let part_of = |begin: &str| {
        page.split(begin)
            .skip(1)
            .map(|part| part.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let loaded = [part_of("src=\""), part_of("href=\"/")].concat();
    let (problems, files): (Vec<_>, Vec<_>) =
        loaded.into_iter().partition(|path| path.starts_with("problems/"));
    assert!(problems.len() > 20 && files.len() > 3, "{problems:?} {files:?}");
    let client = ["shop.mjs", "operations.mjs", "shop.d.mts", "schema.d.mts"]
        .map(|name| format!("docs/client/{name}"));
    for path in problems.iter().chain(&files).chain(&client) {
        let path = format!("/{}", path.trim_start_matches('/'));
        let answer = gateway.get(&path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_ne!(answer.content_length(), Some(0), "{path}");
    }
    // What the page refers to on itself is there.
    for anchor in part_of("href=\"#") {
        assert!(page.contains(&format!("id=\"{anchor}\"")), "#{anchor}");
    }
    let again = gateway
        .get("/docs")
        .header("if-none-match", tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    gateway.stop().await;
}

/// Whoever follows the `type` of a problem in a browser reads a page of the same looks, and whoever asks by a program JSON.
#[tokio::test]
async fn problems_are_pages_for_browsers_and_json_for_programs() {
    let gateway = Gateway::start(&[]).await;
    for path in ["/problems", "/problems/insufficient-stock"] {
        let page = gateway
            .get(path)
            .header("accept", "text/html,*/*;q=0.8")
            .send()
            .await
            .unwrap();
        assert_eq!(page.status(), 200, "{path}");
        assert_eq!(
            page.headers()["content-type"],
            "text/html; charset=utf-8",
            "{path}"
        );
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';"), "{path} {policy}");
        let page = page.text().await.unwrap();
        assert!(
            page.contains("Insufficient stock") && page.contains("/docs/docs.css"),
            "{page}"
        );
        let json = gateway.json(path).await.to_string();
        assert!(json.contains("/problems/insufficient-stock"), "{json}");
    }
    gateway.stop().await;
}

/// Where there is no storefront, whoever opens the gateway's URL is led to its description.
#[tokio::test]
async fn without_pages_the_root_leads_to_the_documentation() {
    let gateway = Gateway::start(&["--pages=off"]).await;
    let root = gateway.get("/").send().await.unwrap();
    assert_eq!(
        (root.status().as_u16(), &root.headers()["location"]),
        (307, &"/docs".parse().unwrap())
    );
    gateway.stop().await;
}
