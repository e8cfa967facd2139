//! What a stranger's trace context can't do: stop the orders of others, or decide what is exported under which ids.
#![allow(missing_docs)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{Api, Builder, Service, Stack, one_order_is_one_trace, order_of, otlp::Receiver};
use futures::future::try_join_all;
use serde_json::Value;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID: &str = "b7ad6b7169203331";
/// Within this time an order of somebody else's is confirmed, whatever a stranger has sent.
const PATIENCE: Duration = Duration::from_secs(30);

fn with_variable(builder: Builder, name: &str, value: &str) -> Builder {
    Service::ALL
        .into_iter()
        .fold(builder, |builder, service| builder.with_env(service, name, value))
}

fn exporting_to(receiver: &Receiver) -> Builder {
    Stack::builder().with_otlp(receiver)
}

async fn receiver() -> anyhow::Result<Receiver> {
    Receiver::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
}

/// 32 entries, the most there may be, of that many bytes together.
fn tracestate(length: usize) -> String {
    const ENTRIES: usize = 32;
    let text = length - (ENTRIES - 1);
    let entry = |number: usize| {
        let length = text / ENTRIES + usize::from(number < text % ENTRIES);
        let key = format!("k{number:02}=");
        format!("{key}{}", "x".repeat(length - key.len()))
    };
    (0..ENTRIES).map(entry).collect::<Vec<_>>().join(",")
}

async fn place_as_stranger(stranger: &Api, product: &Value, tracestate: String) -> anyhow::Result<Value> {
    stranger
        .post("/orders")
        .json(order_of(&[(product, 1)]))
        .header("traceparent", format!("00-{TRACE_ID}-{SPAN_ID}-01"))
        .header("tracestate", tracestate)
        .await?
        .is(201)
}

async fn are_confirmed(customer: &Api, orders: &[Value]) -> anyhow::Result<()> {
    for order in orders {
        let decided = customer.decided(order).await?;
        ensure!(decided["status"] == "confirmed", "{decided}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracestate_of_any_size_holds_up_nobody() -> anyhow::Result<()> {
    let receiver = receiver().await?;
    let stack = exporting_to(&receiver).start().await?;
    let (admin, stranger, customer) = (
        stack.shop().admin().await?,
        stack.shop().customer().await?,
        stack.shop().customer().await?,
    );
    let product = admin.new_product("12", 1_000).await?;
    let line = [(&product, 1)];
    // Just below what the HTTP/2 of a peer takes with all the other headers, just above, and just above W3C's limit.
    for length in [15_810, 15_812, 513] {
        // Alone: it would be the parent of each batch's call.
        let alone = place_as_stranger(&stranger, &product, tracestate(length)).await?;
        let began = Instant::now();
        let orders = try_join_all((0..6).map(|_| customer.place_order(&line))).await?;
        are_confirmed(&customer, &orders).await?;
        ensure!(
            began.elapsed() < PATIENCE,
            "{length} bytes: {:?}",
            began.elapsed()
        );
        are_confirmed(&stranger, &[alone]).await?;

        // Together with others, at the same moment.
        let state = tracestate(length);
        let (strange, others) = tokio::try_join!(
            try_join_all((0..20).map(|_| place_as_stranger(&stranger, &product, state.clone()))),
            try_join_all((0..100).map(|_| customer.place_order(&line))),
        )?;
        are_confirmed(&customer, &others).await?;
        are_confirmed(&stranger, &strange).await?;
    }
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_trace_is_linked_to_and_the_order_is_one_trace_all_the_same() -> anyhow::Result<()> {
    let receiver = receiver().await?;
    let stack = exporting_to(&receiver).start().await?;
    let (admin, stranger) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("12", 10).await?;
    let order = place_as_stranger(&stranger, &product, "vendor=1".to_owned()).await?;
    let order = stranger.decided(&order).await?;
    one_order_is_one_trace(&receiver, &order).await?;
    let joined = receiver.trace(TRACE_ID);
    ensure!(
        joined.spans().is_empty(),
        "the stranger's trace was joined:\n{joined}"
    );
    let trace_id = receiver
        .newest_trace_id(|span| span.name == "POST /orders")
        .context("the order's trace has arrived")?;
    let link = (TRACE_ID.to_owned(), SPAN_ID.to_owned());
    let trace = receiver.trace(&trace_id);
    ensure!(
        trace
            .spans()
            .iter()
            .any(|span| span.name == "POST /orders" && span.links.contains(&link)),
        "the request is linked to what the caller says:\n{trace}"
    );
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_does_not_decide_what_is_exported() -> anyhow::Result<()> {
    let receiver = receiver().await?;
    let builder = exporting_to(&receiver);
    let builder = with_variable(builder, "OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    let builder = with_variable(builder, "OTEL_TRACES_SAMPLER_ARG", "0");
    let stack = builder.start().await?;
    let (admin, stranger) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("12", 10).await?;
    let order = place_as_stranger(&stranger, &product, "vendor=1".to_owned()).await?;
    are_confirmed(&stranger, &[order]).await?;
    let refused = stranger
        .get("/orders/none")
        .header("traceparent", format!("00-{TRACE_ID}-{SPAN_ID}-01"))
        .await?;
    ensure!(
        !refused.text().contains(TRACE_ID),
        "the stranger's trace was joined: {refused}"
    );
    // What is left to export leaves at the end.
    stack.stop().await?;
    let exported = receiver.newest_trace_id(|_| true);
    ensure!(exported.is_none(), "a span was exported, of trace {exported:?}");
    Ok(())
}
