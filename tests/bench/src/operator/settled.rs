//! Waiting until every Shop is ready, and until the operator has nothing more to do.

use std::{
    collections::{BTreeMap, HashSet},
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use futures::TryStreamExt as _;
use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};
use shop_operator::crd::Shop;

use super::{cluster, host::Operator};

/// For so long no further Shop may become ready before it is said that none will.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often is told how far it is.
const TELL: Duration = Duration::from_secs(30);
/// After so long without a reconciliation there is nothing more to do.
const QUIET: Duration = Duration::from_secs(15);
/// How long is waited for that.
const QUIETING: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Watches the Shops until so many are ready at the same time. Tells how long after `began` that was.
pub(super) async fn all_ready(client: &Client, count: usize, began: Instant) -> anyhow::Result<Duration> {
    let shops: Api<Shop> = Api::all(client.clone());
    let watched = watcher(shops.clone(), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut watched = pin!(watched);
    let mut ready = HashSet::new();
    let (mut most, mut most_at, mut told) = (0, Instant::now(), Instant::now());
    while ready.len() < count {
        if told.elapsed() >= TELL {
            told = Instant::now();
            println!(
                "  {} of {count} after {:.0} s",
                ready.len(),
                began.elapsed().as_secs_f64()
            );
        }
        if most_at.elapsed() >= PATIENCE {
            bail!(
                "no further Shop became ready within {}: {}",
                humantime::format_duration(PATIENCE),
                missing(&shops, count).await?
            );
        }
        let Ok(next) = tokio::time::timeout(LOOK_AGAIN, watched.try_next()).await else {
            continue;
        };
        let shop = next?.context("the watch of the Shops ended")?;
        let key = (shop.namespace(), shop.name_any());
        if cluster::is_ready(&shop) {
            ready.insert(key);
        } else {
            ready.remove(&key);
        }
        if ready.len() > most {
            (most, most_at) = (ready.len(), Instant::now());
        }
    }
    Ok(began.elapsed())
}

/// How many are not ready, why, and one of each.
async fn missing(shops: &Api<Shop>, count: usize) -> anyhow::Result<String> {
    let found = shops.list(&ListParams::default()).await?.items;
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for shop in found.iter().filter(|shop| !cluster::is_ready(shop)) {
        let why = cluster::why_not(shop);
        let reason = why.split(':').next().unwrap_or_default().to_owned();
        let name = format!("{}/{}", shop.namespace().unwrap_or_default(), shop.name_any());
        reasons
            .entry(reason)
            .or_insert_with(|| (0, format!("{name}: {why}")))
            .0 += 1;
    }
    let reasons = reasons
        .into_values()
        .map(|(count, example)| format!("{count} as {example}"));
    Ok(format!(
        "of {count} Shops {} are there, and not ready are {}",
        found.len(),
        reasons.collect::<Vec<_>>().join("; ")
    ))
}

/// Waits until an operator that has just started has looked at so many Shops and has nothing more to do. Tells how long after
/// `began` that was.
pub(super) async fn all_seen(operator: &Operator, count: usize, began: Instant) -> anyhow::Result<Duration> {
    let (mut most, mut most_at) = (0.0, Instant::now());
    // Each Shop is settled, and so is the first turn of each.
    while let seen = operator.counts().await?.all_reconciles()
        && seen < f64::from(u32::try_from(count)?)
    {
        if seen > most {
            (most, most_at) = (seen, Instant::now());
        }
        ensure!(
            most_at.elapsed() < PATIENCE,
            "after its start the operator reconciled {seen} of {count} Shops, and no further one within {}",
            humantime::format_duration(PATIENCE)
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let all = began.elapsed();
    Ok(all + quiet(operator).await?.unwrap_or_default())
}

/// Waits until nothing is reconciled any more. Tells how long after now the last reconciliation ended, or nothing if they
/// went on and on.
pub(super) async fn quiet(operator: &Operator) -> anyhow::Result<Option<Duration>> {
    let began = Instant::now();
    let (mut count, mut last) = (operator.counts().await?.all_reconciles(), Duration::ZERO);
    while began.elapsed() < QUIETING {
        tokio::time::sleep(LOOK_AGAIN).await;
        let now = operator.counts().await?.all_reconciles();
        // Both are whole numbers.
        if (now - count).abs() > 0.5 {
            (count, last) = (now, began.elapsed());
        } else if began.elapsed() >= last + QUIET {
            return Ok(Some(last));
        }
    }
    Ok(None)
}
