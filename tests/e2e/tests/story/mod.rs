//! The chapters, and what is passed from one to the next.

pub(crate) mod certificates;
pub(crate) mod change;
pub(crate) mod clusters;
pub(crate) mod deletion;
pub(crate) mod drift;
pub(crate) mod install;
pub(crate) mod neighbours;
pub(crate) mod process;
pub(crate) mod settled;
pub(crate) mod storage;
pub(crate) mod telemetry;
mod traffic;

use std::{
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::bail;
use e2e::{
    Shop,
    kubernetes::{Forward, Namespace, kubectl},
    order_of, wait_until,
};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

/// Where the operator is installed.
pub(crate) const OPERATOR: &str = "shop-system";
/// The services, in the order in which they roll: each after those that it calls.
pub(crate) const PROGRAMS: [&str; 6] = [
    "producer-service",
    "user-service",
    "inventory-service",
    "order-service",
    "consumer-service",
    "api-gateway",
];
/// The Shop of the story.
pub(crate) const DEMO: &str = "demo";

/// What is there by now.
pub(crate) struct World {
    /// The namespace of the Shop.
    pub(crate) namespace: Namespace,
}

impl World {
    /// The demo's API.
    pub(crate) async fn demo(&self) -> anyhow::Result<(Forward, Shop)> {
        self.namespace.shop(DEMO).await
    }

    /// Changes the demo by a JSON merge patch.
    pub(crate) async fn patch(&self, patch: &str) -> anyhow::Result<()> {
        let patch = ["patch", "shop", DEMO, "--type=merge", "--patch", patch];
        self.namespace.kubectl(&patch).await?;
        Ok(())
    }
}

/// A file of this checkout.
pub(crate) fn file(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).to_string_lossy().into_owned()
}

/// An order, and the product that it is for, of which 7 are left.
pub(crate) struct Placed {
    /// As the API shows it.
    pub(crate) product: Value,
    /// The same.
    pub(crate) order: Value,
}

/// An order that is confirmed, which took all the way through RabbitMQ.
pub(crate) async fn place_an_order(shop: &Shop) -> anyhow::Result<Placed> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    // A service that has just started finds its peers within seconds, as fast as the cluster's DNS forgets that there were
    // none; until then it says 503, and people ask again.
    let look = || async { customer.get("/products").await };
    wait_until("the products are shown", look, |answer| answer.status() != 503).await?;
    let product = admin.new_product("10.99", 10).await?;
    let body = order_of(&[(&product, 3)]);
    let place = || async { customer.post("/orders").json(body.clone()).await };
    let placed = wait_until("the order is taken", place, |answer| answer.status() != 503).await?;
    let order = placed.is(201)?;
    let order = customer.decided(&order).await?;
    if order["status"] != "confirmed" || admin.stock_of(&product).await? != 7 {
        bail!("the order is not confirmed, or took no stock: {order}");
    }
    Ok(Placed { product, order })
}

type Chapter = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// Runs the chapters one after the other.
pub(crate) fn tell(chapters: Vec<(&'static str, Chapter)>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(chapters, &runtime, None)).exit_code();
    }
    let namespace = match runtime.block_on(Namespace::create("shops")) {
        Ok(namespace) => namespace,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let world = Arc::new(World { namespace });
    libtest_mimic::run(&arguments, trials(chapters, &runtime, Some(&world))).exit_code()
}

fn trials(
    chapters: Vec<(&'static str, Chapter)>,
    runtime: &Arc<tokio::runtime::Runtime>,
    world: Option<&Arc<World>>,
) -> Vec<Trial> {
    let broken = Arc::new(AtomicBool::new(false));
    let trial = |(name, chapter): (&'static str, Chapter)| {
        let (runtime, world, broken) = (Arc::clone(runtime), world.cloned(), Arc::clone(&broken));
        Trial::test(name, move || {
            let Some(world) = world else { return Ok(()) };
            if broken.load(Ordering::Relaxed) {
                return Err("not run, since one before it failed".into());
            }
            let told = runtime.block_on(chapter(&world));
            told.map_err(|error| {
                broken.store(true, Ordering::Relaxed);
                format!("{error:#}\n{}", runtime.block_on(scene())).into()
            })
        })
    };
    chapters.into_iter().map(trial).collect()
}

/// How the cluster looks where a chapter broke off.
async fn scene() -> String {
    let operator = [
        "--namespace",
        OPERATOR,
        "logs",
        "deployment/shop-operator",
        "--tail=20",
    ];
    let looks = [
        kubectl(["get", "shops,pods", "--all-namespaces", "--output=wide"]).await,
        kubectl([
            "get",
            "events",
            "--all-namespaces",
            "--field-selector=type=Warning",
        ])
        .await,
        kubectl(operator).await,
    ];
    looks
        .map(|look| look.unwrap_or_else(|error| format!("{error:#}")))
        .join("\n\n")
}
