//! The ledger of a product, as the admin reads it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::Api;

/// What the rows of a product's ledger add up to.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Sum of all movements.
    pub sum: i64,
    /// Units that each order took, by order id. An order that took twice makes [`Ledger::read`] fail.
    pub allocated: BTreeMap<String, i64>,
    /// Units that each order gave back, by order id. The same holds.
    pub released: BTreeMap<String, i64>,
}

impl Ledger {
    /// Reads all of it, page by page; nothing may move meanwhile.
    pub async fn read(admin: &Api, product: &Value) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        let mut read = 0;
        for page in 1.. {
            let id = product["id"].as_str().context("the product has an id")?;
            let path = format!("/products/{id}/stock/movements?page={page}&page_size=100");
            let list = admin.get(path).await?.is(200)?;
            let movements = list["items"].as_array().context("a list has items")?;
            movements.iter().try_for_each(|movement| ledger.add(movement))?;
            read += movements.len();
            if movements.is_empty() || list["total"].as_u64() <= u64::try_from(read).ok() {
                break;
            }
        }
        Ok(ledger)
    }

    fn add(&mut self, movement: &Value) -> anyhow::Result<()> {
        let delta = movement["delta"]
            .as_i64()
            .with_context(|| format!("{movement} has a delta"))?;
        self.sum += delta;
        let (orders, units) = match movement["kind"].as_str() {
            Some("allocation") => (&mut self.allocated, -delta),
            Some("release") => (&mut self.released, delta),
            Some("initial" | "adjustment") => return Ok(()),
            _ => bail!("an unknown kind of movement: {movement}"),
        };
        let order = movement["order_id"]
            .as_str()
            .with_context(|| format!("{movement} has an order"))?;
        let earlier = orders.insert(order.to_owned(), units);
        ensure!(earlier.is_none(), "order {order} moved stock twice: {movement}");
        Ok(())
    }
}
