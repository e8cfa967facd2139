//! The books balance: what customers were told is what is stored, stock is what the ledger says, and nothing is left
//! on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use e2e::{Api, Ledger, Service, Stack};
use futures::future::try_join_all;
use serde_json::Value;

use crate::load::{Acknowledged, Cancellation, Load, Outcome, Product};

const PAGE: usize = 100;
/// Keys that are tried once more when all is over.
const REPLAYED: usize = 12;

/// Every order that is stored for the customers, by id.
pub type Stored = BTreeMap<String, Value>;

/// Compares again and again, since what was healed may still be at work, until all agree or the deadline is over.
/// Returns what is stored and what does not agree, in words.
pub async fn reconcile(
    stack: &Stack,
    admin: &Api,
    load: &Load,
    outcome: &Outcome,
    deadline: Instant,
) -> (Stored, Vec<String>) {
    let mut last = Stored::new();
    loop {
        let problems = match compare(stack, admin, load, outcome).await {
            Ok((stored, problems)) => {
                last = stored;
                problems
            }
            Err(error) => vec![format!("can't be compared: {error:#}")],
        };
        if problems.is_empty() {
            let replayed = replay(load, outcome).await;
            return (
                last,
                replayed
                    .err()
                    .map(|error| format!("{error:#}"))
                    .into_iter()
                    .collect(),
            );
        }
        if Instant::now() > deadline {
            return (last, problems);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn compare(
    stack: &Stack,
    admin: &Api,
    load: &Load,
    outcome: &Outcome,
) -> anyhow::Result<(Stored, Vec<String>)> {
    let mut problems = Vec::new();
    let lists = try_join_all(load.customers.iter().map(orders_of)).await?;
    let stored: Stored = lists.iter().flat_map(Clone::clone).collect();
    for acknowledged in &outcome.acknowledged {
        let id = acknowledged.order["id"].as_str().context("an order has an id")?;
        match lists[acknowledged.customer].get(id) {
            None => problems.push(format!("acknowledged and not stored: {}", acknowledged.order)),
            Some(order) => problems.extend(difference(acknowledged, order, &load.products)),
        }
    }
    let ids: BTreeSet<&str> = outcome
        .acknowledged
        .iter()
        .filter_map(|acknowledged| acknowledged.order["id"].as_str())
        .collect();
    if ids.len() != outcome.acknowledged.len() {
        problems.push("two keys were answered with one order".to_owned());
    }
    // A key that was given up may have made an order or not.
    if stored.len() > ids.len() + outcome.unanswered.len() {
        let (stored, keys) = (stored.len(), ids.len());
        problems.push(format!(
            "{stored} orders are stored of {keys} keys: a key made two"
        ));
    }
    for product in &load.products {
        problems.extend(unbalanced(admin, product, &stored).await?);
    }
    problems.extend(left_on_the_way(stack).await?);
    Ok((stored, problems))
}

async fn orders_of(customer: &Api) -> anyhow::Result<Stored> {
    let mut orders = Stored::new();
    for page in 1.. {
        let path = format!("/orders?page={page}&page_size={PAGE}");
        let list = customer.get(path).await?.is(200)?;
        let items = list["items"].as_array().context("a list has items")?;
        for order in items {
            let id = order["id"].as_str().context("an order has an id")?;
            orders.insert(id.to_owned(), order.clone());
        }
        if items.len() < PAGE {
            break;
        }
    }
    Ok(orders)
}

/// What is wrong with a stored order, by what its customer knows.
fn difference(acknowledged: &Acknowledged, stored: &Value, products: &[Product]) -> Option<String> {
    let told = &acknowledged.order;
    let fields = ["id", "user_id", "items", "total", "currency", "created_at"];
    if let Some(field) = fields.iter().find(|field| told[**field] != stored[**field]) {
        return Some(format!("{field} is not what was answered: {told} and {stored}"));
    }
    let asked = acknowledged.body["items"].as_array().map_or(0, Vec::len);
    if stored["items"].as_array().map_or(0, Vec::len) != asked {
        return Some(format!(
            "not what was asked for: {} and {stored}",
            acknowledged.body
        ));
    }
    let status = stored["status"].as_str().unwrap_or_default();
    let fits = match acknowledged.cancellation {
        None => matches!(status, "confirmed" | "rejected"),
        Some(Cancellation::Done) => status == "cancelled",
        Some(Cancellation::TooLate) => matches!(status, "cancelled" | "rejected"),
        Some(Cancellation::Unknown) => matches!(status, "confirmed" | "cancelled" | "rejected"),
    };
    if !fits {
        let cancellation = acknowledged.cancellation;
        return Some(format!("{status}, with cancellation {cancellation:?}: {stored}"));
    }
    let rejection = &stored["rejection"];
    let for_want_of_scarce = rejection["reason"] == "insufficient_stock"
        && products
            .iter()
            .any(|product| product.scarce && product.resource["id"] == rejection["product_id"]);
    (status == "rejected" && !for_want_of_scarce).then(|| format!("rejected for no reason: {stored}"))
}

/// What is wrong with a product's stock, by its ledger and its orders.
async fn unbalanced(admin: &Api, product: &Product, stored: &Stored) -> anyhow::Result<Option<String>> {
    let mut sold: BTreeMap<String, i64> = BTreeMap::new();
    let cancelled = |id: &str| stored.get(id).is_some_and(|order| order["status"] == "cancelled");
    for (id, order) in stored.iter().filter(|(_, order)| order["status"] == "confirmed") {
        for line in order["items"].as_array().into_iter().flatten() {
            if line["product_id"] == product.resource["id"] {
                *sold.entry(id.clone()).or_default() += line["quantity"].as_i64().unwrap_or_default();
            }
        }
    }
    let ledger = Ledger::read(admin, &product.resource).await?;
    let stock = admin.stock_of(&product.resource).await?;
    let id = &product.resource["id"];
    // What a cancelled order took it has given back, once; the others have given back nothing.
    let back: BTreeMap<String, i64> = ledger
        .allocated
        .iter()
        .filter(|(order, _)| cancelled(order))
        .map(|(order, units)| (order.clone(), *units))
        .collect();
    let kept: BTreeMap<String, i64> = ledger
        .allocated
        .iter()
        .filter(|(order, _)| !cancelled(order))
        .map(|(order, units)| (order.clone(), *units))
        .collect();
    let expected = product.initial - sold.values().sum::<i64>();
    Ok(if kept != sold {
        let odd = kept
            .iter()
            .find(|(order, units)| sold.get(*order) != Some(*units));
        let odd = odd.or_else(|| {
            sold.iter()
                .find(|(order, units)| kept.get(*order) != Some(*units))
        });
        Some(format!("{id}: ledger and orders differ, by {odd:?} for one"))
    } else if ledger.released != back {
        let (released, back) = (ledger.released.len(), back.len());
        Some(format!(
            "{id}: {released} orders gave back, {back} cancelled ones had taken"
        ))
    } else if stock != ledger.sum || stock != expected || stock < 0 {
        let sum = ledger.sum;
        Some(format!("{id}: stock {stock}, ledger {sum}, expected {expected}"))
    } else {
        None
    })
}

async fn left_on_the_way(stack: &Stack) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for service in Service::ALL {
        let Some(database) = stack.database(service) else {
            continue;
        };
        let outbox: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_events")
            .fetch_one(database.pool())
            .await?;
        if outbox > 0 {
            left.push(format!(
                "{outbox} events are still in the outbox of {}",
                service.name()
            ));
        }
        let poison: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_poison")
            .fetch_one(database.pool())
            .await?;
        if poison > 0 {
            left.push(format!(
                "{poison} healthy events of {} were set aside",
                service.name()
            ));
        }
    }
    let rabbitmq = stack.rabbitmq().await?;
    let (waiting, dead) = (rabbitmq.orders_waiting().await?, rabbitmq.dead_letters().await?);
    if waiting > 0 {
        left.push(format!("{waiting} messages wait in the queue"));
    }
    if dead > 0 {
        left.push(format!("{dead} healthy messages are among the dead letters"));
    }
    for service in Service::ALL {
        if !stack.is_ready(service).await? {
            left.push(format!("{} is not ready", service.name()));
        }
    }
    Ok(left)
}

/// A key that is sent once more gets the order that it has made.
async fn replay(load: &Load, outcome: &Outcome) -> anyhow::Result<()> {
    let every = (outcome.acknowledged.len() / REPLAYED).max(1);
    for acknowledged in outcome.acknowledged.iter().step_by(every) {
        let again = load.customers[acknowledged.customer]
            .post("/orders")
            .header("idempotency-key", acknowledged.key.as_str())
            .json(acknowledged.body.clone())
            .await?;
        if again.is(201)?["id"] != acknowledged.order["id"] {
            bail!("{} made another order when repeated: {again}", acknowledged.key);
        }
    }
    Ok(())
}
