//! Attacks on a shop that runs as a stranger finds it: started by `start-services.sh`, with its limits on and nothing
//! switched off. An attack does what somebody did once and came through with, in several variants, and asks that the shop
//! refuses it, says so in its own words, and goes on serving everybody else. Each comes from addresses of its own, so that
//! none is stopped by what another has used up.
//!
//! [`Target`] is the shop; [`raw`] speaks HTTP that no library would send. The attacks stand in `tests/attack/`, a file for
//! each way in. A new fault of the shop's gets an attack here first.

pub mod raw;

use std::{
    env,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use shop_client::{Api, Session, Shop, unique_email};

/// An attack that runs.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// An attack's name and body: see [`attacks!`](crate::attacks).
pub struct Attack {
    /// The function's path.
    pub name: &'static str,
    /// The function.
    pub body: fn(Target) -> Running,
}

/// Lists functions `async fn(Target) -> anyhow::Result<()>` as attacks.
#[macro_export]
macro_rules! attacks {
    ($($module:ident::$attack:ident),+ $(,)?) => {
        vec![$($crate::Attack {
            name: concat!(stringify!($module), "::", stringify!($attack)),
            body: |target| Box::pin($module::$attack(target)),
        }),+]
    };
}

/// The password of every account that an attack makes.
pub const PASSWORD: &str = "quietly humming kettle";
/// The proxy that the shop believes in `X-Forwarded-For`.
pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 99, 99, 99));
/// Whatever is done to the shop, others are served within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The shop that is attacked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// How far the shop's ports are from the usual ones.
    pub port_offset: u16,
    /// Its folder.
    pub folder: PathBuf,
    shop: Shop,
    addresses: Arc<AtomicU16>,
}

impl Target {
    /// As `tests/attack/run` says by the environment.
    fn from_environment() -> anyhow::Result<Self> {
        let variable = |name: &str| env::var(name).with_context(|| format!("{name}; run tests/attack/run"));
        let port_offset: u16 = variable("SHOP_PORT_OFFSET")?.parse()?;
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080 + port_offset));
        let shop = Shop::new(
            &format!("http://{gateway}"),
            &variable("ADMIN_EMAIL")?,
            &variable("ADMIN_PASSWORD")?,
        )?;
        Ok(Self {
            gateway,
            port_offset,
            folder: variable("SHOP_DIR")?.into(),
            shop,
            addresses: Arc::new(AtomicU16::new(1)),
        })
    }

    /// An address that nobody else comes from.
    pub fn new_address(&self) -> IpAddr {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(127, 1 + high, low, 7).into()
    }

    /// The shop as it is seen from a new address.
    pub fn from_elsewhere(&self) -> anyhow::Result<Shop> {
        self.shop.called_from(self.new_address())
    }

    /// The shop as it is seen from that address.
    pub fn from(&self, address: IpAddr) -> anyhow::Result<Shop> {
        self.shop.called_from(address)
    }

    /// An account that did nothing yet, from an address of its own.
    pub async fn customer(&self) -> anyhow::Result<(Shop, Session)> {
        let shop = self.from_elsewhere()?;
        let session = shop.register(&unique_email(), PASSWORD).await?;
        Ok((shop, session))
    }

    /// The first admin, who has just logged in, from an address of his own.
    pub async fn admin(&self) -> anyhow::Result<Api> {
        self.from_elsewhere()?.admin().await
    }

    /// A product to order.
    pub async fn product(&self, stock: i64) -> anyhow::Result<Value> {
        self.admin().await?.new_product("12.50", stock).await
    }

    /// Holds if somebody else, from elsewhere, finds the shop as it should be: ready, with its catalogue, and an order is
    /// decided soon.
    pub async fn serves_others(&self, product: &Value) -> anyhow::Result<()> {
        let served = async {
            let (shop, session) = self.customer().await?;
            shop.anybody().get("/readyz").await?.is(200)?;
            shop.anybody().get("/products").await?.is(200)?;
            let order = session.api.place_order(&[(product, 1)]).await?;
            let order = session.api.decided(&order).await?;
            ensure!(order["status"] == "confirmed", "{order}");
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, served)
            .await
            .context("somebody else waits for the shop")?
            .context("somebody else is not served")
    }

    /// What the gateway has of the machine's memory, in bytes.
    pub async fn gateway_memory(&self) -> anyhow::Result<u64> {
        let line = tokio::fs::read_to_string(self.folder.join("run/api-gateway.pid")).await?;
        let pid = line.split_whitespace().nth(1).context("a pid in the pid file")?;
        let status = tokio::fs::read_to_string(format!("/proc/{pid}/status")).await?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|rest| rest.split_whitespace().next());
        Ok(kilobytes.context("VmRSS")?.parse::<u64>()? * 1024)
    }
}

/// The `main` of the test: runs the attacks that the command line chooses, one after the other.
pub fn run(attacks: Vec<Attack>) -> ExitCode {
    let target = match Target::from_environment() {
        Ok(target) => target,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut arguments = Arguments::from_args();
    // What one does to the machine must not be blamed on another.
    arguments.test_threads = Some(1);
    let trials = attacks.into_iter().map(|Attack { name, body }| {
        let target = target.clone();
        Trial::test(name, move || {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime
                .block_on(body(target))
                .map_err(|error| format!("{error:#}").into())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
