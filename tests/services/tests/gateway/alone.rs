//! What needs no service behind.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{future::join_all, stream};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::support::{Gateway, is, problem};

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let gateway = Gateway::start(&[]).await;
    let nothing = gateway.get("/nothing").send().await.unwrap();
    assert_eq!(problem(nothing).await, is(404, "not-found"));
    let wrong = gateway.call("DELETE", "/orders").send().await.unwrap();
    let allow = wrong.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    assert_eq!(problem(wrong).await, is(405, "method-not-allowed"));
    let strange = gateway.call("BREW", "/products").send().await.unwrap();
    assert_eq!(problem(strange).await, is(405, "method-not-allowed"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_service_that_is_down_is_a_503_that_says_when_to_come_back() {
    let gateway = Gateway::start(&[]).await;
    let down = gateway.get("/products").send().await.unwrap();
    assert_eq!(down.headers()["retry-after"], "1");
    assert_eq!(problem(down).await, is(503, "peer-unavailable"));
    // Nobody's token can be checked before the keys are known, and that is not the caller's fault.
    let token = "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.e30.c2ln";
    let unknown = gateway.get("/orders").bearer_auth(token).send().await.unwrap();
    assert_eq!(problem(unknown).await, is(503, "unavailable"));
    let live = gateway.get("/healthz").send().await.unwrap();
    assert_eq!(live.status(), 200);
    let ready = gateway.get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 503, "it does not know the keys");
    gateway.stop().await;
}

#[tokio::test]
async fn a_service_that_never_answers_is_a_503_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("--inventory-service-url=http://{}", silent.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut connections = Vec::new();
        loop {
            connections.push(silent.accept().await.unwrap());
        }
    });
    let gateway = Gateway::start(&[&url, "--request-timeout=300ms"]).await;
    let asked = Instant::now();
    let late = gateway.get("/products").send().await.unwrap();
    assert_eq!(problem(late).await, is(503, "timeout"));
    assert!(
        asked.elapsed() >= Duration::from_millis(300),
        "it was given its time"
    );
    held.abort();
    gateway.stop().await;
}

#[tokio::test]
async fn no_more_requests_are_at_work_than_allowed() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("--inventory-service-url=http://{}", silent.local_addr().unwrap());
    let gateway =
        Arc::new(Gateway::start(&[&url, "--max-concurrent-requests=2", "--request-timeout=1s"]).await);
    let asked = (0..6).map(|_| {
        let gateway = Arc::clone(&gateway);
        async move { problem(gateway.get("/products").send().await.unwrap()).await }
    });
    let mut answers = join_all(asked).await;
    answers.sort();
    let overloaded = answers
        .iter()
        .filter(|answer| **answer == is(503, "overloaded"))
        .count();
    assert_eq!(overloaded, 4, "{answers:?}");
    Arc::into_inner(gateway).unwrap().stop().await;
}

#[tokio::test]
async fn bodies_are_bounded_however_they_come() {
    let gateway = Gateway::start(&["--max-body-bytes=2048"]).await;
    let log_in = || {
        gateway
            .post("/auth/login")
            .header("content-type", "application/json")
    };
    let large = vec![b' '; 3 << 20];
    let whole = log_in().body(large.clone()).send().await.unwrap();
    assert_eq!(problem(whole).await, is(413, "body-too-large"));
    let chunks = large
        .chunks(1 << 16)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
    let chunked = reqwest::Body::wrap_stream(stream::iter(chunks.collect::<Vec<_>>()));
    let chunked = log_in().body(chunked).send().await.unwrap();
    assert_eq!(problem(chunked).await, is(413, "body-too-large"));
    let small = log_in()
        .json(&json!({ "email": "a@example.com" }))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(small).await, is(422, "invalid-input"));
    gateway.stop().await;
}

#[tokio::test]
async fn every_answer_is_named_and_protected() {
    let gateway = Gateway::start(&[]).await;
    for path in ["/healthz", "/products", "/nothing"] {
        let answer = gateway
            .get(path)
            .header("x-request-id", "mine-7")
            .send()
            .await
            .unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert_eq!(header("x-request-id"), "mine-7", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert!(
            header("content-security-policy").contains("default-src 'none'"),
            "{path}"
        );
        assert!(
            !answer.headers().contains_key("access-control-allow-origin"),
            "{path}"
        );
    }
    let long = "x".repeat(200);
    let answer = gateway
        .get("/healthz")
        .header("x-request-id", &long)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"].len(), 36, "one of ours");
    gateway.stop().await;
}

#[tokio::test]
async fn browsers_of_allowed_origins_may_call() {
    let gateway =
        Gateway::start(&["--cors-allowed-origins=https://shop.example,http://localhost:3000"]).await;
    let preflight = |origin: &'static str| {
        gateway
            .call("OPTIONS", "/orders")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type,idempotency-key",
            )
            .send()
    };
    let allowed = preflight("https://shop.example").await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "https://shop.example"
    );
    let headers = allowed.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(headers.contains("idempotency-key"), "{headers}");
    let other = preflight("https://elsewhere.example").await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    gateway.stop().await;
}

#[tokio::test]
async fn probes_are_not_limited_in_rate() {
    let gateway = Gateway::start(&["--rate-limit-per-second=1", "--rate-limit-burst=1"]).await;
    let browse = || async { problem(gateway.get("/products").send().await.unwrap()).await.0 };
    assert_eq!((browse().await, browse().await), (503, 429));
    for _ in 0..20 {
        assert_eq!(gateway.get("/healthz").send().await.unwrap().status(), 200);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_service_that_stops_answers_what_it_has_begun() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("--inventory-service-url=http://{}", silent.local_addr().unwrap());
    let gateway = Gateway::start(&[&url, "--request-timeout=500ms"]).await;
    let begun = tokio::spawn(gateway.get("/products").send());
    // The call has reached the service behind, so the request is at work.
    let (mut connection, _) = silent.accept().await.unwrap();
    connection.read_u8().await.unwrap();
    gateway.stop().await;
    assert_eq!(problem(begun.await.unwrap().unwrap()).await, is(503, "timeout"));
}
