//! What many Shops ask of the operator, and of the API server through it.
//!
//! The pods are simulated, and everything else is real: the objects, their controllers, and the databases and virtual hosts
//! of every Shop on one PostgreSQL and one RabbitMQ.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::ensure;
use kube::Client;
use serde::Serialize;
use serde_json::Value;

use super::{
    OperatorArgs, SERVICES,
    changes::{self, Changes},
    chart,
    counts::{Counts, each},
    fleet::{Fleet, Servers},
    host::Operator,
    nodes, settled,
};
use crate::{
    latency::Percentiles,
    processes::{Memory, Processes},
};

/// How long is counted what an operator without Shops asks for.
const WITHOUT_SHOPS: Duration = Duration::from_secs(30);
/// How long it has for its first look at the cluster.
const LISTING: Duration = Duration::from_secs(5);
/// The operator's default, in minutes, and what a Shop has of it on average: not all come back at the same moment.
const RESYNC_MINUTES: f64 = 5.0 * 0.9;

#[derive(Serialize)]
struct Figures {
    shops: u16,
    nodes: usize,
    /// Until the API server had taken the last Shop.
    created_seconds: f64,
    /// From the first Shop until all were ready.
    settled_seconds: f64,
    /// From then until the last reconciliation ended; none if they went on.
    quiet_seconds: Option<f64>,
    /// All until then, of all Shops.
    until_settled: Counts,
    memory_without_shops: Memory,
    memory_settled: Memory,
    /// CPU time until all were ready, by process.
    cpu_seconds: BTreeMap<String, f64>,
    without_shops: PerMinute,
    nothing_changes: PerMinute,
    /// How many reconciliations the default interval of looking at back ends would add to each minute.
    default_resync_per_minute: f64,
    /// How many Shops were changed.
    changes: usize,
    /// From a spec's change until its objects were changed.
    change_ms: Percentiles,
    changes_above_a_second: usize,
    /// Which Shop had the longest.
    slowest_change: String,
    memory_changed: Memory,
    restart: Restart,
}

/// An operator that starts when all Shops are settled, as each of its upgrades does.
#[derive(Serialize)]
struct Restart {
    /// Until it had looked at all of them.
    seconds: f64,
    counts: Counts,
    memory: Memory,
}

/// What was counted while nothing was to be done.
#[derive(Serialize)]
struct PerMinute {
    seconds: f64,
    reconciles: f64,
    requests: f64,
    writes: f64,
}

pub(super) async fn measure(client: &Client, arguments: &OperatorArgs) -> anyhow::Result<Value> {
    let servers = Servers::from_env()?;
    servers.have_room_for(arguments.shops).await?;
    let shops = usize::from(arguments.shops);
    // While a Deployment rolls it has a pod more.
    let pods = (shops + usize::from(arguments.changes).min(shops)) * SERVICES;
    let nodes = nodes::simulate(client, pods).await?;
    println!("\n{shops} Shops on {nodes} simulated nodes");
    chart::install(client, 0).await?;
    let operator = Operator::start(client, &arguments.log_dir, arguments.resync).await?;
    tokio::time::sleep(LISTING).await;
    let without_shops = watch_nothing(&operator, WITHOUT_SHOPS).await?;
    let memory_without_shops = operator.memory()?;
    let fleet = Fleet::prepare(client, &servers, arguments.shops, arguments.namespaces).await?;
    let mut processes = Processes::all(&arguments.run_dirs)?;
    processes.add("shop-operator", operator.pid());
    processes.add("bench", std::process::id());

    let (cpu, before, began) = (processes.cpu(), operator.counts().await?, Instant::now());
    let create = async {
        fleet.create().await?;
        Ok(began.elapsed())
    };
    let (created, settled) = tokio::try_join!(create, settled::all_ready(client, shops, began))?;
    let cpu_seconds = processes.cpu_since(&cpu).into_iter();
    let cpu_seconds = cpu_seconds.map(|(name, cpu)| (name, cpu.as_secs_f64())).collect();
    let until_settled = operator.counts().await?.since(&before);
    ensure!(
        until_settled.all_reconciles() > 0.0,
        "the operator's /metrics count no reconciliation, though {shops} Shops are ready"
    );
    let memory_settled = operator.memory()?;
    println!(
        "all are ready after {:.1} s; waiting until nothing is reconciled",
        settled.as_secs_f64()
    );
    let quiet = settled::quiet(&operator).await?;
    println!("counting for {}", humantime::format_duration(arguments.window));
    let nothing_changes = watch_nothing(&operator, arguments.window).await?;
    let changed: Vec<_> = fleet
        .shops
        .iter()
        .take(usize::from(arguments.changes))
        .cloned()
        .collect();
    println!("changing {} Shops", changed.len());
    let Changes { latencies, slowest } = changes::measure(client, &changed, arguments.pace).await?;
    let figures = Figures {
        shops: arguments.shops,
        nodes,
        created_seconds: created.as_secs_f64(),
        settled_seconds: settled.as_secs_f64(),
        quiet_seconds: quiet.map(|quiet| quiet.as_secs_f64()),
        until_settled,
        memory_without_shops,
        memory_settled,
        cpu_seconds,
        without_shops,
        nothing_changes,
        default_resync_per_minute: f64::from(arguments.shops) / RESYNC_MINUTES,
        changes: latencies.len(),
        changes_above_a_second: latencies.above(Duration::from_secs(1)),
        change_ms: latencies.percentiles(),
        slowest_change: slowest,
        memory_changed: operator.memory()?,
        restart: restart(client, operator, arguments).await?,
    };
    print(&figures);
    Ok(serde_json::to_value(figures)?)
}

async fn restart(client: &Client, operator: Operator, arguments: &OperatorArgs) -> anyhow::Result<Restart> {
    // The pods of the last changes are to be in place.
    settled::quiet(&operator).await?;
    operator.stop().await?;
    println!("starting the operator again");
    let began = Instant::now();
    let operator = Operator::start(client, &arguments.log_dir, arguments.resync).await?;
    let took = settled::all_seen(&operator, usize::from(arguments.shops), began).await?;
    let restart = Restart {
        seconds: took.as_secs_f64(),
        counts: operator.counts().await?,
        memory: operator.memory()?,
    };
    operator.stop().await?;
    Ok(restart)
}

async fn watch_nothing(operator: &Operator, window: Duration) -> anyhow::Result<PerMinute> {
    let (before, began) = (operator.counts().await?, Instant::now());
    tokio::time::sleep(window).await;
    let counts = operator.counts().await?.since(&before);
    let seconds = began.elapsed().as_secs_f64();
    let minutes = seconds / 60.0;
    Ok(PerMinute {
        seconds,
        reconciles: counts.all_reconciles() / minutes,
        requests: counts.all_requests() / minutes,
        writes: counts.writes() / minutes,
    })
}

fn print(figures: &Figures) {
    let shops = f64::from(figures.shops);
    let row = |name: &str, value: f64, remark: &str| println!("{name:<52} {value:>10.1}   {remark}");
    println!(
        "\n{} Shops, on one PostgreSQL and one RabbitMQ, with pods on {} simulated nodes",
        figures.shops, figures.nodes
    );
    row("all taken by the API server, s", figures.created_seconds, "");
    let per_minute = format!("{:.0} Shops a minute", shops / figures.settled_seconds * 60.0);
    row("all settled, s", figures.settled_seconds, &per_minute);
    let quiet = figures.quiet_seconds.map_or_else(
        || "reconciliations went on after that".to_owned(),
        |quiet| format!("the last reconciliation ended {quiet:.0} s later"),
    );
    let until_settled = &figures.until_settled;
    row(
        "reconciliations per Shop until then",
        until_settled.all_reconciles() / shops,
        &format!("{}; {quiet}", each(&until_settled.reconciles, shops)),
    );
    row(
        "API requests per Shop until then",
        until_settled.all_requests() / shops,
        &each(&until_settled.requests, shops),
    );
    let memory = |name: &str, memory: Memory| {
        let remark = format!("peak {:.1}; the aim is under 100 MB", memory.peak_mib);
        row(name, memory.resident_mib, &remark);
    };
    memory(
        "operator, resident MiB, without Shops",
        figures.memory_without_shops,
    );
    memory("operator, resident MiB, settled", figures.memory_settled);
    memory(
        "operator, resident MiB, after the changes",
        figures.memory_changed,
    );
    let restart = &figures.restart;
    memory("operator, resident MiB, after a restart", restart.memory);
    row(
        "API requests per Shop after a restart",
        restart.counts.all_requests() / shops,
        &format!(
            "{}; it took {:.1} s",
            each(&restart.counts.requests, shops),
            restart.seconds
        ),
    );
    let nothing = &figures.nothing_changes;
    row(
        "reconciliations per minute when nothing changes",
        nothing.reconciles,
        &format!(
            "in {:.0} s; the resync of 5m by default would add {:.0}",
            nothing.seconds, figures.default_resync_per_minute
        ),
    );
    let without = &figures.without_shops;
    row(
        "API requests per minute when nothing changes",
        nothing.requests,
        &format!(
            "of which write {:.1}; without Shops {:.1}, of which {:.1}: the Lease",
            nothing.writes, without.requests, without.writes
        ),
    );
    let change = figures.change_ms;
    println!(
        "{:<52} p50 {:>8.1}  p99 {:>8.1}  max {:>8.1}   of {}, of which {} above 1,000, the longest of {}; \
         the aim is p99 under 1,000",
        "spec changed to its six Deployments changed, ms",
        change.p50,
        change.p99,
        change.max,
        figures.changes,
        figures.changes_above_a_second,
        figures.slowest_change
    );
    println!(
        "\n{:<52} {:>10} {:>18}",
        "process, until all were settled", "CPU s", "of one core, %"
    );
    let mut processes: Vec<_> = figures.cpu_seconds.iter().collect();
    processes.sort_by(|one, other| other.1.total_cmp(one.1));
    for (name, seconds) in processes {
        let share = seconds / figures.settled_seconds * 100.0;
        println!("{name:<52} {seconds:>10.1} {share:>18.1}");
    }
}
