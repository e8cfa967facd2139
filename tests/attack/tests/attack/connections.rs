//! Taking what is there for all: connections, memory, places.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use attack::{Target, raw};
use shop_client::Api;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::sleep};

/// What the operator lets a gateway have by default, in bytes.
const MEMORY: u64 = 256 * 1024 * 1024;

async fn within_memory(target: &Target) -> anyhow::Result<()> {
    let memory = target.gateway_memory().await?;
    ensure!(memory < MEMORY, "the gateway has {} MB", memory / 1_000_000);
    Ok(())
}

/// Bodies of which one byte comes, by the thousand.
pub(super) async fn bodies_that_never_end(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let mut unfinished: Vec<TcpStream> = Vec::new();
    let head = b"POST /auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{";
    let mut addresses = vec![target.new_address()];
    addresses.extend((0..30).map(|_| target.new_address()));
    for number in 0..1_500 {
        let from = addresses.get(number % addresses.len()).context("an address")?;
        let mut connection = raw::connect(*from, target.gateway).await?;
        connection.write_all(head).await?;
        unfinished.push(connection);
    }
    sleep(Duration::from_millis(300)).await;
    target.serves_others(&product).await?;
    within_memory(&target).await?;
    // They are told in the end, and not unfinished for ever.
    let mut last = unfinished.pop().context("a connection")?;
    let reply = raw::reply(&mut last).await?;
    ensure!(matches!(reply.status, 408 | 429 | 503), "{reply:?}");
    ensure!(!reply.problem().is_empty(), "{reply:?}");
    Ok(())
}

/// Heads that are never whole, large and small, and connections that say nothing.
pub(super) async fn heads_that_never_end(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let from = target.new_address();
    let mut held = Vec::new();
    let large = format!(
        "GET /products HTTP/1.1\r\nHost: shop\r\nX-A: {}",
        "a".repeat(28 * 1024)
    );
    for number in 0..3_000 {
        let mut connection = raw::connect(from, target.gateway).await?;
        let bytes: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHo",
            _ => large.as_bytes(),
        };
        // It may be ended for another already.
        let _sent = connection.write_all(bytes).await;
        held.push(connection);
    }
    target.serves_others(&product).await?;
    within_memory(&target).await
}

/// Answers that are asked for, one after the other, and never read.
pub(super) async fn answers_that_nobody_reads(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: shop\r\n\r\n".repeat(100);
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut connection = raw::connect(target.new_address(), target.gateway).await?;
        connection.write_all(&request).await?;
        held.push(connection);
    }
    sleep(Duration::from_secs(1)).await;
    within_memory(&target).await?;
    target.serves_others(&product).await
}

/// Event streams of one account, as many as it likes.
pub(super) async fn streams_by_the_thousand(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let (_, session) = target.customer().await?;
    let order = session.api.place_order(&[(&product, 1)]).await?;
    let path = format!("/orders/{}/events", order["id"].as_str().context("an id")?);
    let open = async |api: &Api| api.get(&path).events().await;
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..120 {
        match open(&session.api).await {
            Ok(stream) => held.push(stream),
            Err(_) => refused += 1,
        }
    }
    ensure!(refused >= 60, "{} streams are open", held.len());
    let answer = session.api.get(&path).await?;
    answer.is_problem(429)?;
    let (_, other) = target.customer().await?;
    let theirs = other.api.place_order(&[(&product, 1)]).await?;
    let path = format!("/orders/{}/events", theirs["id"].as_str().context("an id")?);
    let mut events = other.api.get(path).events().await?;
    events.next().await?.context("their order")?;
    target.serves_others(&product).await?;
    drop(held);
    // What is closed can be opened again.
    let again = || async { Ok(session.api.get("/orders").await?.status()) };
    shop_client::wait_until("it is served", again, |status| *status == 200).await?;
    Ok(())
}
