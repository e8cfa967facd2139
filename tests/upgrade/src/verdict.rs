//! What must be true after the load.

use std::{
    collections::BTreeMap,
    slice,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use e2e::{Api, Service, stock_ledger_and_orders_agree};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::time::sleep;

use crate::load::{Cancelled, Load, PLENTY, Placed, SCARCE, locked};

/// How long what was placed may take to be decided after the last order.
const SETTLING: Duration = Duration::from_secs(30);
/// How long an event may wait that was refused again and again; the outbox tries it once a minute.
const LONGEST_RETRY: Duration = Duration::from_secs(90);

impl Load<'_> {
    /// Whether every order that was acknowledged is there, once, and decided as it should be; stock, ledger and orders agree;
    /// and there is no dead letter.
    pub(crate) async fn nothing_is_lost(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        // What is still on its way arrives: every question is asked until it has its answer.
        while let Err(error) = self.ask_whether_nothing_is_lost().await {
            if began.elapsed() > SETTLING {
                return Err(error.context(format!("{} s after the last order", SETTLING.as_secs())));
            }
            sleep(Duration::from_millis(500)).await;
        }
        eprintln!("        nothing is lost: {}", self.tally());
        Ok(())
    }

    async fn ask_whether_nothing_is_lost(&self) -> anyhow::Result<()> {
        let mut orders = Vec::new();
        for customer in &self.customers {
            let found = all_orders(&self.at_a_gateway(&customer.api)).await?;
            let placed = locked(&customer.placed);
            for placed in placed.iter() {
                let id = placed.order["id"].as_str().context("an order has an id")?;
                let found = found.get(id);
                let found =
                    found.with_context(|| format!("it was acknowledged, and is gone: {}", placed.order))?;
                self.is_decided_rightly(placed, found)?;
            }
            ensure!(
                found.len() == placed.len(),
                "a customer placed {} orders and has {}: a request was carried out twice",
                placed.len(),
                found.len()
            );
            orders.extend(found.into_values());
        }
        let admin = self.at_a_gateway(&self.admin);
        stock_ledger_and_orders_agree(&admin, &self.plenty, PLENTY, &orders).await?;
        stock_ledger_and_orders_agree(&admin, slice::from_ref(&self.scarce), SCARCE, &orders).await?;
        let dead = self.stack.rabbitmq().await?.dead_letters().await?;
        ensure!(dead == 0, "{dead} messages are among the dead letters");
        let poison = self.rows_of_all_outboxes("outbox_poison").await?;
        ensure!(poison == 0, "{poison} events were set aside");
        Ok(())
    }

    /// Whether all events come to be published, also those that an older producer-service didn't know. For when everything is
    /// of today's version again.
    pub async fn no_event_is_left(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let waiting = self.rows_of_all_outboxes("outbox_events").await?;
            if waiting == 0 {
                return Ok(());
            }
            ensure!(
                began.elapsed() < LONGEST_RETRY,
                "{waiting} events are still in an outbox"
            );
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// The rows of that table in all databases; the version before may not have made it.
    async fn rows_of_all_outboxes(&self, table: &'static str) -> anyhow::Result<i64> {
        let mut rows = 0;
        for service in Service::ALL {
            let Some(database) = self.stack.database(service) else {
                continue;
            };
            let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
                .bind(table)
                .fetch_one(database.pool())
                .await?;
            if is_there {
                let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                rows += sqlx::query_scalar::<_, i64>(count)
                    .fetch_one(database.pool())
                    .await?;
            }
        }
        Ok(rows)
    }

    fn is_decided_rightly(&self, placed: &Placed, found: &Value) -> anyhow::Result<()> {
        ensure!(
            found["items"] == placed.order["items"] && found["total"] == placed.order["total"],
            "it was acknowledged as {} and is {found}",
            placed.order
        );
        let right = match (found["status"].as_str(), placed.cancelled) {
            (Some("confirmed"), Cancelled::No) | (Some("cancelled"), Cancelled::Yes) => true,
            (Some("rejected"), Cancelled::No | Cancelled::Refused) => {
                let rejection = &found["rejection"];
                let short = json!({ "reason": "insufficient_stock", "product_id": self.scarce["id"] });
                // The version before names the first product at fault only, and of all of them there is one here.
                let named = rejection["items"].is_null() || rejection["items"] == json!([short]);
                named
                    && rejection["reason"] == short["reason"]
                    && rejection["product_id"] == short["product_id"]
            }
            (Some("pending"), _) => bail!("it is not decided: {found}"),
            _ => false,
        };
        ensure!(
            right,
            "it is decided wrongly, cancelled: {:?}: {found}",
            placed.cancelled
        );
        Ok(())
    }
}

/// A customer's orders, by id.
async fn all_orders(customer: &Api) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut orders = BTreeMap::new();
    for page in 1.. {
        let list = customer
            .get(format!("/orders?page={page}&page_size=100"))
            .await?
            .is(200)?;
        let items = list["items"].as_array().context("a list has items")?;
        for order in items {
            let id = order["id"].as_str().context("an order has an id")?;
            orders.insert(id.to_owned(), order.clone());
        }
        if items.len() < 100 {
            break;
        }
    }
    Ok(orders)
}
