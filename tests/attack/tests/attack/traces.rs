//! What a caller says of its trace.

use anyhow::{Context as _, ensure};
use attack::{Target, raw};
use shop_client::order_of;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// A context that just fits into one hop's headers must not stop a batch at the next.
pub(super) async fn a_context_that_is_too_long_for_others(target: Target) -> anyhow::Result<()> {
    let product = target.product(1_000).await?;
    let (_, stranger) = target.customer().await?;
    for length in [513, 8_000, 15_810, 15_812] {
        let state = (0..32).map(|key| format!("k{key:02}={}", "x".repeat(length / 32 - 5)));
        let answer = stranger
            .api
            .post("/orders")
            .json(order_of(&[(&product, 1)]))
            .header("traceparent", format!("00-{TRACE_ID}-b7ad6b7169203331-01"))
            .header("tracestate", state.collect::<Vec<_>>().join(","))
            .header("baggage", format!("k={}", "x".repeat(length / 2)))
            .await?;
        let order = answer.is(201)?;
        target
            .serves_others(&product)
            .await
            .with_context(|| format!("{length} bytes"))?;
        let order = stranger.api.decided(&order).await?;
        ensure!(order["status"] == "confirmed", "{order}");
    }
    Ok(())
}

/// A stranger names a trace, which must not become ours.
pub(super) async fn a_trace_of_ones_own_choice(target: Target) -> anyhow::Result<()> {
    let shop = target.from_elsewhere()?;
    for header in [
        format!("00-{TRACE_ID}-b7ad6b7169203331-01"),
        format!("cc-{TRACE_ID}-b7ad6b7169203331-01-what-the-future-will-be"),
    ] {
        let call = shop.anybody().get("/orders/none").header("traceparent", header);
        let problem = call.await?.is_problem(401)?;
        ensure!(
            problem.document()["trace_id"] != TRACE_ID,
            "{}",
            problem.document()
        );
    }
    Ok(())
}

/// Names that callers make up must not each become a time series.
pub(super) async fn paths_and_methods_that_are_made_up(target: Target) -> anyhow::Result<()> {
    let from = target.new_address();
    for number in 0..150 {
        let request =
            format!("MADE{number} /made-up-{number} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
        let reply = raw::exchange(from, target.gateway, request.as_bytes()).await?;
        ensure!(matches!(reply.status, 404 | 405 | 501), "{reply:?}");
    }
    let admin = format!("http://127.0.0.1:{}/metrics", 9080 + target.port_offset);
    let metrics = shop_client::http()
        .build()?
        .get(admin)
        .send()
        .await?
        .text()
        .await?;
    ensure!(
        !metrics.contains("made-up-") && !metrics.contains("MADE"),
        "a name that a caller made up is in the metrics"
    );
    Ok(())
}
