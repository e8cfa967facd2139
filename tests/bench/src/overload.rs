//! What the shop does with more orders than it can take: how many it still places, how it refuses the others, and how soon
//! it is as before. Its best rate is found first, with clients that wait for their answers; then a multiple of that is
//! offered, by arrivals that wait for nobody.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use url::Url;
use uuid::Uuid;

use crate::{
    catalog,
    http_client::{Head, Wire},
    latency::Latencies,
    orders::{Load, drain, order, place},
    processes::Processes,
    shop::Shop,
};

/// For so long the best rate is measured.
const BEST: Duration = Duration::from_secs(10);
/// For so many seconds it is watched whether the shop is back.
const BACK: u32 = 10;

/// How much is too much.
#[derive(Args)]
pub(crate) struct OverloadArgs {
    /// How many clients at once find the best rate.
    #[arg(long, default_value_t = 256)]
    clients: usize,
    /// How many times the best rate is offered.
    #[arg(long, default_value_t = 3.0)]
    times: f64,
    /// For how long.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
    duration: Duration,
    /// Over how many connections. One on which an answer is late leaves out the orders that it could not send meanwhile.
    #[arg(long, default_value_t = 4_096)]
    connections: u32,
    /// Among how many products the orders choose.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(100..))]
    products: u16,
}

/// What came of the orders that were offered.
#[derive(Default)]
struct Tally {
    placed: Latencies,
    refused: Latencies,
    /// Refusals that don't say when to come back.
    without_retry_after: usize,
    /// Whatever else was answered, by status; 0 for a connection that was lost.
    other: BTreeMap<u16, usize>,
    /// Orders that were due while an earlier one of their connection had no answer.
    unsent: usize,
}

pub(crate) async fn measure(shop: &Shop, args: &OverloadArgs) -> anyhow::Result<Value> {
    let products: Arc<[Uuid]> = catalog::stocked(&shop.inventory, args.products.into())
        .await?
        .into();
    let closed = Load::of_two_lines(args.clients);
    println!("two seconds without figures, so that connections and caches are warm");
    place(shop, closed, Duration::from_secs(2), &products).await?;
    drain(shop).await?;
    let best = rate(place(shop, closed, BEST, &products).await?.len(), BEST);
    drain(shop).await?;
    println!("\nbest: {best:.0} orders/s, {} clients", args.clients);

    let offered = best * args.times;
    let load = Processes::this();
    let (before, load_before) = (shop.processes.cpu(), load.cpu());
    let tally = offer(shop, args, offered, &products).await?;
    let mut used = shop.processes.cpu_since(&before);
    used.extend(load.cpu_since(&load_before));
    let mut back = None;
    let mut seconds = Vec::new();
    for second in 1..=BACK {
        let placed = place(shop, closed, Duration::from_secs(1), &products)
            .await?
            .len();
        seconds.push(placed);
        if back.is_none() && rate(placed, Duration::from_secs(1)) >= 0.9 * best {
            back = Some(second);
        }
    }
    let drained = drain(shop).await?;

    let placed = rate(tally.placed.len(), args.duration);
    let refused = rate(tally.refused.len(), args.duration);
    println!(
        "offered {offered:.0}/s for {:?}: placed {placed:.0}/s, {:.0} % of the best; refused {refused:.0}/s; not sent {:.0}/s",
        args.duration,
        100.0 * placed / best,
        rate(tally.unsent, args.duration)
    );
    println!(
        "  refused without Retry-After {}; other answers, by status {:?}",
        tally.without_retry_after, tally.other
    );
    let (placed_ms, refused_ms) = (tally.placed.percentiles(), tally.refused.percentiles());
    placed_ms.print("placed, ms");
    refused_ms.print("refused, ms");
    for (name, cpu) in &used {
        println!(
            "  {name:<26} {:>8.2} cores",
            cpu.as_secs_f64() / args.duration.as_secs_f64()
        );
    }
    match back {
        Some(second) => println!("back at 90 % of the best in second {second}: {seconds:?}"),
        None => println!("not back within {BACK} s: {seconds:?}"),
    }
    println!("none pending {:.2} s after the last", drained.as_secs_f64());
    Ok(json!({
        "best_per_second": best,
        "offered_per_second": offered,
        "seconds": args.duration.as_secs_f64(),
        "placed_per_second": placed,
        "share_of_best": placed / best,
        "refused_per_second": refused,
        "refused_without_retry_after": tally.without_retry_after,
        "other_answers": tally.other,
        "unsent_per_second": rate(tally.unsent, args.duration),
        "placed_ms": placed_ms,
        "refused_ms": refused_ms,
        "orders_in_each_second_after": seconds,
        "drained_seconds": drained.as_secs_f64(),
    }))
}

#[allow(clippy::cast_precision_loss, reason = "a count of orders is far below 2^52")]
fn rate(orders: usize, during: Duration) -> f64 {
    orders as f64 / during.as_secs_f64()
}

/// Offers so many orders a second, evenly, over all connections.
async fn offer(
    shop: &Shop,
    args: &OverloadArgs,
    per_second: f64,
    products: &Arc<[Uuid]>,
) -> anyhow::Result<Tally> {
    let every = Duration::from_secs_f64(f64::from(args.connections) / per_second);
    // Connecting is not measured.
    let wires = join_all((0..args.connections).map(|_| Wire::connect(&shop.gateway))).await;
    let begin = Instant::now() + Duration::from_millis(100);
    let placed = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..)
        .zip(wires)
        .map(|(index, wire)| {
            let first = begin + every.mul_f64(f64::from(index) / f64::from(args.connections));
            let customer = Customer {
                gateway: shop.gateway.clone(),
                token: shop.customer.clone(),
                products: Arc::clone(products),
                placed: Arc::clone(&placed),
            };
            tokio::spawn(customer.order_every(every, first, begin + args.duration, wire))
        })
        .collect();
    let watched = tokio::spawn(print_seconds(placed, begin, args.duration));
    let mut all = Tally::default();
    for tally in join_all(tasks).await {
        let tally = tally.context("a client panicked")??;
        all.placed.extend(tally.placed);
        all.refused.extend(tally.refused);
        all.without_retry_after += tally.without_retry_after;
        all.unsent += tally.unsent;
        for (status, count) in tally.other {
            *all.other.entry(status).or_default() += count;
        }
    }
    watched.await.context("the watch panicked")?;
    ensure!(all.placed.len() > 0, "no order was placed: {:?}", all.other);
    Ok(all)
}

/// One line with how many were placed in each second.
async fn print_seconds(placed: Arc<AtomicU64>, begin: Instant, duration: Duration) {
    let mut seconds = Vec::new();
    let mut at = begin;
    while at < begin + duration {
        at += Duration::from_secs(1);
        sleep_until(at).await;
        seconds.push(placed.swap(0, Ordering::Relaxed));
    }
    println!("placed in each second: {seconds:?}");
}

struct Customer {
    gateway: Url,
    token: String,
    products: Arc<[Uuid]>,
    placed: Arc<AtomicU64>,
}

impl Customer {
    /// Orders the same at each of its times, unless it waits for an answer then.
    async fn order_every(
        self,
        every: Duration,
        first: Instant,
        until: Instant,
        wire: anyhow::Result<Wire>,
    ) -> anyhow::Result<Tally> {
        let mut wire = wire?;
        let body = order(Load::of_two_lines(1), &self.products)?;
        let request = Wire::order(&self.gateway, &self.token, &body)?;
        let mut tally = Tally::default();
        let mut due = first;
        while due < until {
            sleep_until(due).await;
            let began = Instant::now();
            match wire.send(&request).await {
                Ok(Head { status: 201, .. }) => {
                    self.placed.fetch_add(1, Ordering::Relaxed);
                    tally.placed.add(began.elapsed());
                }
                Ok(Head {
                    status: 503,
                    has_retry_after,
                }) => {
                    tally.refused.add(began.elapsed());
                    tally.without_retry_after += usize::from(!has_retry_after);
                }
                Ok(Head { status, .. }) => *tally.other.entry(status).or_default() += 1,
                Err(_) => {
                    *tally.other.entry(0).or_default() += 1;
                    wire = Wire::connect(&self.gateway).await?;
                }
            }
            due += every;
            while due < Instant::now() {
                due += every;
                tally.unsent += 1;
            }
        }
        Ok(tally)
    }
}
