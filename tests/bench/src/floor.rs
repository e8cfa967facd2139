//! The yardstick: what the same PostgreSQL does with the same rows when pgbench alone writes them, one order with two
//! lines and one outbox row to a transaction. The schema is order-service's own, indexes and constraints included.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::{io::AsyncWriteExt as _, process::Command};
use url::Url;

use crate::shop::{Shop, database};

const DATABASE: &str = "bench_floor";
const SCRIPT: &str = include_str!("../sql/floor.pgbench.sql");

pub(crate) struct Floor {
    url: Url,
}

impl Floor {
    /// Makes an empty database with the schema of the orders.
    pub(crate) async fn prepare(shop: &Shop) -> anyhow::Result<Self> {
        let mut server = PgConnection::connect(shop.database_url.as_str()).await?;
        server
            .execute(AssertSqlSafe(format!(
                "DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
            )))
            .await?;
        server
            .execute(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}")))
            .await?;
        server.close().await?;
        let url = database(&shop.database_url, DATABASE);
        let schema = run(
            "pg_dump",
            &["--schema-only"],
            &database(&shop.database_url, "orders"),
            "",
        )
        .await?;
        run(
            "psql",
            &["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"],
            &url,
            &schema,
        )
        .await?;
        Ok(Self { url })
    }

    /// Transactions per second with that many clients.
    pub(crate) async fn run(&self, clients: usize, duration: Duration) -> anyhow::Result<f64> {
        let (clients, seconds) = (clients.to_string(), duration.as_secs().max(1).to_string());
        let options = [
            "--no-vacuum",
            "--protocol=prepared",
            "--file=/dev/stdin",
            "--jobs=2",
            "--client",
            &clients,
            "--time",
            &seconds,
        ];
        // pgbench refuses more threads than clients.
        let options: Vec<&str> = options
            .into_iter()
            .filter(|option| clients != "1" || !option.starts_with("--jobs"))
            .collect();
        let report = run("pgbench", &options, &self.url, SCRIPT).await?;
        let line = report
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .context("pgbench says tps = …")?;
        Ok(line
            .split_whitespace()
            .next()
            .context("a number follows")?
            .parse()?)
    }
}

/// Runs one of PostgreSQL's programs on a database; its password goes by environment.
async fn run(program: &str, options: &[&str], url: &Url, input: &str) -> anyhow::Result<String> {
    let mut child = Command::new(program)
        .args(options)
        .env("PGHOST", url.host_str().unwrap_or_default())
        .env("PGPORT", url.port().unwrap_or(5432).to_string())
        .env("PGUSER", url.username())
        .env("PGPASSWORD", url.password().unwrap_or_default())
        .env("PGDATABASE", url.path().trim_start_matches('/'))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut stdin = child.stdin.take().context("its input is a pipe")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
