//! The HTTP server's bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, request::Parts},
    response::IntoResponse as _,
    routing::get,
};
use chassis::{DefaultAddrs, Running, Service, config::ServiceArgs, http::ConnectionLimits};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

async fn serve(limits: ConnectionLimits) -> Running {
    let service = Service::bind("bounded", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let gate = |request: &Parts| {
        (request.uri.path() == "/closed").then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    };
    let router = Router::new().route("/", get(|| async { "hello" }));
    service.serve_http(router, Arc::new(gate), limits)
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.addr()).await.unwrap()
}

async fn ask(connection: &mut TcpStream) -> String {
    connection
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 1_024];
    let length = connection.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_client_that_sends_its_request_too_slowly_loses_its_connection() {
    let running = serve(ConnectionLimits {
        header_timeout: Duration::from_millis(200),
        ..ConnectionLimits::default()
    })
    .await;
    let mut slow = connect(&running).await;
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("hello"));
    assert!(ask(&mut connect(&running).await).await.ends_with("hello"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let running = serve(ConnectionLimits {
        max_connections: 1,
        ..ConnectionLimits::default()
    })
    .await;
    let mut first = connect(&running).await;
    assert!(ask(&mut first).await.ends_with("hello"));
    let mut second = connect(&running).await;
    let waiting = tokio::spawn(async move { ask(&mut second).await });
    assert!(ask(&mut first).await.ends_with("hello"), "it keeps its place");
    assert!(!waiting.is_finished());
    drop(first);
    assert!(waiting.await.unwrap().ends_with("hello"));
    running.stop().await.unwrap();
}
