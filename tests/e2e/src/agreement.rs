//! What must hold whatever happened meanwhile: orders, ledger and stock tell the same.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{Api, Ledger};

/// Holds if all orders are decided, and the ledger of each product has what the confirmed ones took and the cancelled
/// ones gave back, each once, and the stock is what is left of `initial`. `orders` are all that were placed of these
/// products, as they are now.
pub async fn stock_ledger_and_orders_agree(
    admin: &Api,
    products: &[Value],
    initial: i64,
    orders: &[Value],
) -> anyhow::Result<()> {
    let mut sold: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for order in orders {
        match order["status"].as_str() {
            Some("confirmed" | "completed") => {}
            Some("rejected" | "cancelled") => continue,
            _ => bail!("not decided: {order}"),
        }
        for line in order["items"].as_array().context("an order has items")? {
            let product = line["product_id"].as_str().context("a line has a product")?;
            let order = order["id"].as_str().context("an order has an id")?;
            *sold.entry((product, order)).or_default() +=
                line["quantity"].as_i64().context("a line has a quantity")?;
        }
    }
    for product in products {
        let id = product["id"].as_str().context("a product has an id")?;
        let wanted: BTreeMap<&str, i64> = sold
            .iter()
            .filter(|((product, _), _)| *product == id)
            .map(|((_, order), units)| (*order, *units))
            .collect();
        let (ledger, stock) = (
            Ledger::read(admin, product).await?,
            admin.stock_of(product).await?,
        );
        let kept: BTreeMap<&str, i64> = ledger
            .allocated
            .iter()
            .map(|(order, units)| (order.as_str(), units - ledger.released.get(order).unwrap_or(&0)))
            .filter(|(_, units)| *units != 0)
            .collect();
        for order in wanted.keys().chain(kept.keys()) {
            ensure!(
                wanted.get(order) == kept.get(order),
                "order {order} should have taken {:?} of product {id}; in the ledger it took {:?} and gave back {:?}",
                wanted.get(order).unwrap_or(&0),
                ledger.allocated.get(*order).unwrap_or(&0),
                ledger.released.get(*order).unwrap_or(&0),
            );
        }
        let left = initial - wanted.values().sum::<i64>();
        ensure!(
            ledger.sum == stock && stock == left && stock >= 0,
            "of product {id} the orders leave {left}, the ledger {}, and the stock is {stock}",
            ledger.sum
        );
        let never_taken: Vec<_> = ledger
            .released
            .keys()
            .filter(|order| !ledger.allocated.contains_key(*order))
            .collect();
        ensure!(
            never_taken.is_empty(),
            "of product {id} was given back what was not taken: {never_taken:?}"
        );
    }
    Ok(())
}
