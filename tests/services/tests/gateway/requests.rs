//! How requests are read, and refused, before any service is asked.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Response;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Gateway, is, problem};

/// Sends that, and reads until the other end has nothing more to say.
async fn exchange(gateway: &Gateway, sent: &[u8]) -> String {
    let mut connection = connect(gateway).await;
    connection.write_all(sent).await.unwrap();
    rest_of(connection).await
}

async fn connect(gateway: &Gateway) -> TcpStream {
    let address = gateway.url("");
    TcpStream::connect(address.strip_prefix("http://").unwrap())
        .await
        .unwrap()
}

async fn rest_of(mut connection: TcpStream) -> String {
    let mut told = Vec::new();
    let reading = connection.read_to_end(&mut told);
    let _reset = tokio::time::timeout(Duration::from_secs(20), reading).await;
    String::from_utf8(told).unwrap()
}

/// The status and the last part of the type of the problem in an answer.
fn told(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    assert!(
        head.contains("content-type: application/problem+json"),
        "{answer}"
    );
    let document: Value = serde_json::from_str(body).expect(answer);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(document["status"], status, "{answer}");
    let kind = document["type"].as_str().unwrap();
    (status, kind.strip_prefix("/problems/").unwrap().to_owned())
}

fn half_a_login() -> &'static [u8] {
    b"POST /auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{"
}

#[tokio::test]
async fn half_a_body_and_silence_is_a_408_that_ends_the_connection() {
    let gateway = Gateway::start(&["--body-timeout=300ms", "--request-timeout=5s"]).await;
    let began = Instant::now();
    let answer = exchange(&gateway, half_a_login()).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(told(&answer), is(408, "request-timeout"));
    assert!(answer.contains("connection: close"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn who_sends_slowly_takes_nobodys_place() {
    let gateway = Gateway::start(&[
        "--max-concurrent-requests=5",
        "--max-unfinished-bodies-per-address=20",
        "--rate-limit=off",
        "--body-timeout=3s",
    ])
    .await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut connection = connect(&gateway).await;
        connection.write_all(half_a_login()).await.unwrap();
        slow.push(connection);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let honest = gateway
        .post("/auth/login")
        .json(&Value::Null)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(honest).await, is(422, "invalid-input"));
    let honest = gateway.get("/products").send().await.unwrap();
    assert_eq!(problem(honest).await, is(503, "peer-unavailable"));
    let mut answers: Vec<_> = join_all(slow.into_iter().map(rest_of)).await;
    answers.sort_by_key(|answer| told(answer));
    let refused: Vec<_> = answers.iter().map(|answer| told(answer)).collect();
    assert_eq!(refused[..20], vec![is(408, "request-timeout"); 20]);
    assert_eq!(refused[20..], vec![is(429, "too-many-unfinished-bodies"); 20]);
    gateway.stop().await;
}

#[tokio::test]
async fn who_is_refused_with_a_large_body_can_read_why() {
    let gateway = Gateway::start(&["--rate-limit=off"]).await;
    let size = 4 << 20;
    for (request, media_type, expected) in [
        (
            "POST /orders",
            "application/json",
            is(401, "authentication-required"),
        ),
        ("POST /nothing", "application/json", is(404, "not-found")),
        ("POST /healthz", "application/json", is(405, "method-not-allowed")),
        ("POST /auth/login", "application/json", is(413, "body-too-large")),
        (
            "POST /auth/login",
            "text/plain",
            is(415, "unsupported-media-type"),
        ),
        // What is wrong with the query is told with what is wrong with the body, and that is not read.
        (
            "POST /auth/login?x=1",
            "application/json",
            is(413, "body-too-large"),
        ),
    ] {
        // Of a body that is too large all is read, so that the connection could go on.
        let end = if expected.0 == 413 {
            "connection: close\r\n"
        } else {
            ""
        };
        let head = format!(
            "{request} HTTP/1.1\r\nhost: a\r\n{end}content-type: {media_type}\r\ncontent-length: {size}\r\n\r\n"
        );
        let mut connection = connect(&gateway).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&vec![b' '; size]).await.expect(request);
        let answer = rest_of(connection).await;
        assert!(answer.contains("connection: close"), "{request}: {answer}");
        assert_eq!(told(&answer), expected, "{request}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_names_one_host() {
    let gateway = Gateway::start(&[]).await;
    for lines in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a b\r\n",
        "host: a/b\r\n",
        "host: u@a\r\n",
    ] {
        let sent = format!("GET /healthz HTTP/1.1\r\n{lines}connection: close\r\n\r\n");
        let answer = exchange(&gateway, sent.as_bytes()).await;
        assert_eq!(told(&answer), is(400, "invalid-host"), "{lines}");
    }
    for sent in [
        "GET /healthz HTTP/1.1\r\nhost: shop.example:80\r\nconnection: close\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
    ] {
        let answer = exchange(&gateway, sent.as_bytes()).await;
        assert!(answer.contains(" 200 OK\r\n"), "{answer}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_a_problem_too() {
    let gateway = Gateway::start(&[]).await;
    for (target, headers, expected) in [
        (
            format!("/{}", "x".repeat(10_000)),
            String::new(),
            is(414, "uri-too-long"),
        ),
        (
            format!("/{}", "x".repeat(70_000)),
            String::new(),
            is(414, "uri-too-long"),
        ),
        (
            "/".to_owned(),
            format!("a: {}\r\n", "x".repeat(70_000)),
            is(431, "headers-too-large"),
        ),
        (
            "/".to_owned(),
            "a: b\r\n".repeat(150),
            is(431, "headers-too-large"),
        ),
        (
            "/".to_owned(),
            "no header\r\n".to_owned(),
            is(400, "malformed-request"),
        ),
        (
            "no target".to_owned(),
            String::new(),
            is(400, "malformed-request"),
        ),
    ] {
        let sent = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        assert_eq!(told(&exchange(&gateway, sent.as_bytes()).await), expected);
    }
    gateway.stop().await;
}

/// What is said of a login whose body is these bytes.
async fn log_in(gateway: &Gateway, body: &'static [u8], headers: &[(&str, &str)]) -> Response {
    let mut request = gateway.post("/auth/login").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn bodies_are_json_in_utf_8_as_they_are() {
    let gateway = Gateway::start(&["--rate-limit=off"]).await;
    let json = ("content-type", "application/json");
    let answer = log_in(&gateway, b"{\"email\": \"\xff\"}", &[json]).await;
    let document: Value = answer.json().await.unwrap();
    assert_eq!(document["status"], 400);
    assert!(
        document["detail"].as_str().unwrap().contains("not UTF-8"),
        "{document}"
    );
    for body in [&b""[..], b"{\"email\": ", b"{} x", b"{\"a\": }"] {
        let answer: Value = log_in(&gateway, body, &[json]).await.json().await.unwrap();
        let detail = answer["detail"].as_str().unwrap();
        assert_eq!(answer["type"], "/problems/malformed-json", "{answer}");
        assert!(
            !detail.contains("expected value") && !detail.contains("EOF"),
            "{detail}"
        );
    }
    let marked = log_in(&gateway, b"\xef\xbb\xbf{\"email\": 1, \"x`y\": 2}", &[json]).await;
    let marked: Value = marked.json().await.unwrap();
    assert_eq!(
        marked["errors"],
        serde_json::json!([
            { "field": "x`y", "detail": "is not known here" },
            { "field": "email", "detail": "must be text" },
            { "field": "password", "detail": "is missing" },
        ])
    );
    let coded = log_in(&gateway, b"{}", &[json, ("content-encoding", "gzip")]).await;
    assert_eq!(coded.headers()["accept-encoding"], "identity");
    assert_eq!(problem(coded).await, is(415, "unsupported-media-type"));
    for media_type in [
        "application/json; charset=utf-16",
        "text/plain",
        "application/xml",
    ] {
        let other = log_in(&gateway, b"{}", &[("content-type", media_type)]).await;
        assert_eq!(other.headers()["accept"], "application/json");
        let document: Value = other.json().await.unwrap();
        assert!(
            document["detail"].as_str().unwrap().contains("UTF-8"),
            "{document}"
        );
    }
    let good = log_in(
        &gateway,
        b"{}",
        &[("content-type", "application/json; charset=UTF-8")],
    )
    .await;
    assert_eq!(problem(good).await, is(422, "invalid-input"));
    gateway.stop().await;
}

#[tokio::test]
async fn every_operation_refuses_what_it_does_not_know() {
    let gateway = Gateway::start(&["--rate-limit=off"]).await;
    let document = gateway.json("/openapi.json").await;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let at = path.replace("{id}", "0193f3a0-0000-7000-8000-000000000000");
        let at = at.replace("{name}", "not-found");
        let options = gateway.call("OPTIONS", &at).send().await.unwrap();
        let allow = options.headers()["allow"].to_str().unwrap().to_owned();
        assert_eq!(options.status(), 204, "{path}");
        assert!(allow.contains("OPTIONS"), "{path}: {allow}");
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let method = method.to_uppercase();
            assert!(allow.contains(&method), "{path}: {allow}");
            let call = |at: &str| {
                gateway
                    .call(&method, at)
                    .header("content-type", "application/json")
            };
            let slash = call(&format!("{at}/")).send().await.unwrap();
            assert_eq!(problem(slash).await, is(404, "not-found"), "{method} {path}/");
            // Who must be known is told that first.
            if operation["security"].is_array() {
                continue;
            }
            let unknown = call(&format!("{at}?colour=red&size=1"))
                .body("{}")
                .send()
                .await
                .unwrap();
            let unknown: Value = unknown.json().await.unwrap();
            assert_eq!(unknown["status"], 422, "{method} {path}: {unknown}");
            let fields = unknown["errors"].to_string();
            assert!(
                fields.contains("colour") && fields.contains("size"),
                "{method} {path}: {fields}"
            );
            let garbled = call(&format!("{at}?%ff=1")).body("{}").send().await.unwrap();
            assert_eq!(
                problem(garbled).await,
                is(400, "malformed-query"),
                "{method} {path}"
            );
            if operation["requestBody"].is_object() {
                let other = gateway
                    .call(&method, &at)
                    .header("content-type", "text/plain")
                    .body("{}");
                let other = other.send().await.unwrap();
                assert_eq!(
                    problem(other).await,
                    is(415, "unsupported-media-type"),
                    "{method} {path}"
                );
                let unknown = call(&at)
                    .body(r#"{"colour": 1, "size": null}"#)
                    .send()
                    .await
                    .unwrap();
                let unknown: Value = unknown.json().await.unwrap();
                let fields = unknown["errors"].to_string();
                assert!(
                    fields.contains("colour") && fields.contains("size"),
                    "{method} {path}: {fields}"
                );
            }
        }
        let other = gateway.call("TRACE", &at).send().await.unwrap();
        assert!(other.headers().contains_key("allow"), "{path}");
        assert_eq!(problem(other).await, is(405, "method-not-allowed"), "{path}");
        if item["get"].is_object() {
            let head = gateway.call("HEAD", &at).send().await.unwrap().status();
            let get = gateway.get(&at).send().await.unwrap().status();
            assert_eq!(head, get, "{path}");
        }
    }
    assert!(operations >= 20, "{operations}");
    for path in ["/nothing", "/products/", "/orders/x/y"] {
        let options = gateway.call("OPTIONS", path).send().await.unwrap();
        assert_eq!(problem(options).await, is(404, "not-found"), "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn every_type_of_problem_has_a_page() {
    let gateway = Gateway::start(&["--rate-limit=off"]).await;
    let all = gateway.json("/problems").await;
    let all = all["items"].as_array().unwrap();
    assert!(all.len() > 40, "{all:?}");
    for kind in all {
        let at = kind["type"].as_str().unwrap();
        let page = gateway.json(at).await;
        assert_eq!(page, *kind);
        let page = gateway
            .get(at)
            .header("accept", "text/html,*/*")
            .send()
            .await
            .unwrap();
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(
            page.text()
                .await
                .unwrap()
                .contains(kind["title"].as_str().unwrap())
        );
    }
    let unknown = gateway.json("/problems/none").await;
    let page = gateway
        .get(unknown["type"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    gateway.stop().await;
}

#[tokio::test]
async fn who_comes_by_https_is_told_to_stay_there() {
    for (flag, told) in [
        ("--trusted-proxies=1", true),
        ("--trusted-proxies=127.0.0.0/8", true),
        ("--trusted-proxies=10.0.0.0/8", false),
        ("--trusted-proxies=0", false),
    ] {
        let gateway = Gateway::start(&[flag]).await;
        for path in ["/healthz", "/nothing"] {
            let by_https = gateway
                .get(path)
                .header("x-forwarded-proto", "https")
                .send()
                .await
                .unwrap();
            let hsts = by_https.headers().contains_key("strict-transport-security");
            assert_eq!(hsts, told, "{flag} {path}");
            let by_http = gateway.get(path).send().await.unwrap();
            assert!(
                !by_http.headers().contains_key("strict-transport-security"),
                "{flag} {path}"
            );
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_description_can_be_switched_off() {
    let gateway = Gateway::start(&["--api-docs=off", "--pages=off"]).await;
    for path in [
        "/docs",
        "/docs/",
        "/docs/docs.js",
        "/docs/client/shop.mjs",
        "/openapi.json",
        "/",
    ] {
        let hidden = gateway.get(path).send().await.unwrap();
        assert_eq!(problem(hidden).await, is(404, "not-found"), "{path}");
    }
    // The pages at /problems stay, and look as they do.
    for path in ["/healthz", "/problems", "/docs/docs.css"] {
        assert_eq!(gateway.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    gateway.stop().await;
}
