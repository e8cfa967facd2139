//! The HTTP server's bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::{StatusCode, request::Parts},
    response::IntoResponse as _,
    routing::{get, post},
};
use chassis::{
    DefaultAddrs, Running, Service,
    config::ServiceArgs,
    http::{ConnectionLimits, Front},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };
const LARGE: usize = 64 << 20;

async fn serve(limits: ConnectionLimits) -> Running {
    let service = Service::bind("bounded", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let gate = |request: &Parts| {
        (request.uri.path() == "/closed").then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        "slow"
    };
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .route("/refused", post(|| async { StatusCode::FORBIDDEN }));
    let front = Front {
        gate: Arc::new(gate),
        unreadable: Arc::new(|status| ("text/plain", format!("refused: {status}"))),
    };
    service.serve_http(router, front, limits)
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.addr()).await.unwrap()
}

async fn connect_from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

async fn ask_for(connection: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 1_024];
    let length = connection.read(&mut answer).await.unwrap_or_default();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

async fn ask(connection: &mut TcpStream) -> String {
    ask_for(connection, "/").await
}

async fn rest_of(mut connection: TcpStream) -> String {
    let mut rest = Vec::new();
    let _reset = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut rest)).await;
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_head_has_less_time_than_an_idle_connection() {
    let running = serve(ConnectionLimits {
        header_timeout: Duration::from_millis(300),
        ..ConnectionLimits::default()
    })
    .await;
    let mut idle = connect(&running).await;
    assert!(ask(&mut idle).await.ends_with("hello"));
    let began = Instant::now();
    let silent = connect(&running).await;
    let mut slow = connect(&running).await;
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let told = rest_of(slow).await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    assert!(told.ends_with("refused: 408 Request Timeout"), "{told}");
    assert_eq!(rest_of(silent).await, "", "nobody asked for anything");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Longer than a head may take.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(ask(&mut idle).await.ends_with("hello"));
    idle.write_all(b"GET / HT").await.unwrap();
    assert!(rest_of(idle).await.starts_with("HTTP/1.1 408 "));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn who_waits_makes_room_and_a_request_at_work_does_not() {
    let running = serve(ConnectionLimits {
        max_connections: 1,
        ..ConnectionLimits::default()
    })
    .await;
    let mut first = connect(&running).await;
    assert!(ask(&mut first).await.ends_with("hello"));
    let mut second = connect(&running).await;
    assert!(
        ask(&mut second).await.ends_with("hello"),
        "the first has nothing at work"
    );
    assert_eq!(rest_of(first).await, "");

    let working = tokio::spawn(async move { ask_for(&mut second, "/slow").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut third = connect(&running).await;
    let waiting = tokio::spawn(async move { ask(&mut third).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "the second has");
    assert!(working.await.unwrap().ends_with("slow"));
    assert!(waiting.await.unwrap().ends_with("hello"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_thousand_unfinished_heads_of_one_address_stop_nobody() {
    let running = serve(ConnectionLimits {
        max_connections: 200,
        max_connections_per_address: 50,
        header_timeout: Duration::from_mins(1),
        ..ConnectionLimits::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..400 {
        let mut connection = connect(&running).await;
        connection
            .write_all(format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(20_000)).as_bytes())
            .await
            .unwrap();
        held.push(connection);
    }
    for address in ["127.0.0.2", "127.0.0.1"] {
        let mut honest = connect_from(address, running.addr()).await;
        let answer = tokio::time::timeout(Duration::from_secs(2), ask(&mut honest)).await;
        assert!(answer.expect("in time").ends_with("hello"), "{address}");
    }
    drop(held);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn silent_connections_do_not_stop_probes() {
    let running = serve(ConnectionLimits::default()).await;
    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(TcpStream::connect(running.admin_addr()).await.unwrap());
    }
    let mut probe = TcpStream::connect(running.admin_addr()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(2), ask_for(&mut probe, "/healthz")).await;
    assert!(answer.expect("in time").starts_with("HTTP/1.1 200 "));
    // The first of them have made room.
    assert_eq!(rest_of(held.remove(0)).await, "");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn who_reads_nothing_is_not_waited_for_for_ever() {
    let running = serve(ConnectionLimits {
        write_timeout: Duration::from_millis(300),
        ..ConnectionLimits::default()
    })
    .await;
    let mut deaf = connect(&running).await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = rest_of(deaf).await.len();
    assert!(read < LARGE, "{read}");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_has_a_whole_answer() {
    let running = serve(ConnectionLimits::default()).await;
    let many = "x".repeat(100_000);
    for (sent, status) in [
        ("NONSENSE\r\n\r\n".to_owned(), "400 Bad Request"),
        (
            "GET / HTTP/1.1\r\nno header\r\n\r\n".to_owned(),
            "400 Bad Request",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nlong: {many}\r\n\r\n"),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET /{many} HTTP/1.1\r\nhost: a\r\n\r\n"),
            "414 URI Too Long",
        ),
    ] {
        let mut connection = connect(&running).await;
        connection.write_all(sent.as_bytes()).await.unwrap();
        let told = rest_of(connection).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{told}");
        assert!(told.ends_with(&format!("refused: {status}")), "{told}");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn who_is_refused_before_all_was_read_can_read_why() {
    let running = serve(ConnectionLimits::default()).await;
    for (path, status) in [
        ("/closed", "503"),
        ("/nothing", "404"),
        ("/", "405"),
        ("/refused", "403"),
    ] {
        let mut connection = connect(&running).await;
        let size = 8 << 20;
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        // All of it, before anything is read, as most clients do.
        connection.write_all(&vec![b'x'; size]).await.expect(path);
        let told = rest_of(connection).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {told}");
        assert!(told.contains("connection: close"), "{path}: {told}");
    }
    running.stop().await.unwrap();
}
