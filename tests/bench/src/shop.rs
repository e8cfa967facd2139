//! The shop under measurement: its gateway, its databases and its processes.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use sqlx::PgPool;
use url::Url;
use uuid::Uuid;

use crate::{http_client::Client, processes::Processes};

/// Where it is.
#[derive(Args)]
pub(crate) struct ShopArgs {
    /// The gateway of the shop to measure.
    #[arg(long, env = "GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    gateway_url: Url,
    /// The first admin.
    #[arg(long, env = "ADMIN_EMAIL")]
    admin_email: String,
    /// Where the shop's pid files are.
    #[arg(long, env = "SHOP_RUN_DIR", default_value = ".shop/run")]
    run_dir: PathBuf,
}

pub(crate) struct Shop {
    pub(crate) gateway: Url,
    /// A server on which databases may be made.
    pub(crate) database_url: Url,
    pub(crate) inventory: PgPool,
    pub(crate) orders: PgPool,
    /// The first admin's access token.
    pub(crate) admin: String,
    /// A customer's access token.
    pub(crate) customer: String,
    pub(crate) processes: Processes,
}

impl Shop {
    /// `DATABASE_URL` and `ADMIN_PASSWORD` come from the environment alone: they are secrets.
    pub(crate) async fn connect(arguments: &ShopArgs) -> anyhow::Result<Self> {
        let database_url: Url = std::env::var("DATABASE_URL")
            .context("DATABASE_URL must be set")?
            .parse()?;
        let password = std::env::var("ADMIN_PASSWORD").context("ADMIN_PASSWORD must be set")?;
        let mut client = Client::connect(&arguments.gateway_url).await?;
        let login = json!({ "email": arguments.admin_email, "password": password });
        let (status, answer) = client.post("/auth/login", None, &login).await?;
        ensure!(status == 200, "the admin can't log in: {status} {answer}");
        let admin = token(&answer)?;
        let buyer =
            json!({ "email": format!("bench-{}@shop.example", Uuid::now_v7()), "password": Uuid::now_v7() });
        let (status, answer) = client.post("/auth/register", None, &buyer).await?;
        ensure!(status == 201, "a customer can't register: {status} {answer}");
        let customer = token(&answer)?;
        Ok(Self {
            gateway: arguments.gateway_url.clone(),
            inventory: PgPool::connect(database(&database_url, "inventory").as_str()).await?,
            orders: PgPool::connect(database(&database_url, "orders").as_str()).await?,
            database_url,
            admin,
            customer,
            processes: Processes::find(&arguments.run_dir)?,
        })
    }
}

/// The access token that an answer of `/auth/*` holds.
pub(crate) fn token(answer: &Value) -> anyhow::Result<String> {
    let token = answer["token"].as_str();
    Ok(token.context("the answer has a token")?.to_owned())
}

/// The URL of another database of the same server.
pub(crate) fn database(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}
