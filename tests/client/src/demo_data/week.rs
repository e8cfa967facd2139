//! The customers, and what they ordered in a week: most of it is with them by now, the last is still to be sent, some was
//! cancelled, and some was more than there was.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Added, patience::patiently};
use crate::{Api, Shop};

/// Every customer's.
pub const PASSWORD: &str = "copper kettle on oak";

/// Somebody who has ordered.
#[derive(Clone, Debug, Deserialize)]
pub struct Customer {
    /// Where nobody gets mail.
    pub email: String,
    /// As it is shown.
    pub name: String,
}

#[derive(Deserialize)]
struct Week {
    customers: Vec<Customer>,
    orders: Vec<Order>,
}

#[derive(Clone, Deserialize)]
struct Order {
    customer: String,
    /// Units by SKU.
    lines: BTreeMap<String, i64>,
    ends: Ends,
}

/// What becomes of an order, if there is stock for it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Ends {
    /// It is left as it is.
    Confirmed,
    /// The admin has sent it.
    Completed,
    /// Its customer thought better of it.
    Cancelled,
    /// There is not enough of something. The order is the same as one that is left as it is.
    Rejected,
}

/// What came of the customers and their orders.
#[derive(Default)]
pub(super) struct Filled {
    pub(super) customers: Added,
    pub(super) orders: Added,
    pub(super) locked_out: Vec<String>,
}

/// What came of one customer.
struct Served {
    is_new: bool,
    orders: Added,
    is_locked_out: bool,
}

fn week() -> anyhow::Result<Week> {
    serde_json::from_str(include_str!("week.json")).context("week.json")
}

/// The customers of the demo data.
pub fn customers() -> anyhow::Result<Vec<Customer>> {
    Ok(week()?.customers)
}

/// Opens the accounts and places the orders that are missing: each customer's one after the other, all customers at once. No
/// two customers order what is scarce, so that what comes of it is always the same.
pub(super) async fn fill(shop: &Shop, admin: &Api, ids: &HashMap<String, String>) -> anyhow::Result<Filled> {
    let Week { customers, orders } = week()?;
    let mut served = JoinSet::new();
    for customer in customers {
        let own = orders.iter().filter(|order| order.customer == customer.email);
        let own = own
            .map(|order| Ok((body(order, ids)?, order.ends)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (shop, admin) = (shop.clone(), admin.clone());
        served.spawn(async move {
            let outcome = serve(&shop, &admin, &customer, own).await;
            (customer.email, outcome)
        });
    }
    let mut filled = Filled::default();
    while let Some(outcome) = served.join_next().await {
        let (email, outcome) = outcome.context("a customer's task has ended")?;
        let Served {
            is_new,
            orders,
            is_locked_out,
        } = outcome.with_context(|| email.clone())?;
        filled.customers.count(is_new);
        filled.orders.all += orders.all;
        filled.orders.added += orders.added;
        if is_locked_out {
            filled.locked_out.push(email);
        }
    }
    filled.locked_out.sort_unstable();
    Ok(filled)
}

/// The request for an order.
fn body(order: &Order, ids: &HashMap<String, String>) -> anyhow::Result<Value> {
    let line = |(sku, quantity): (&String, &i64)| {
        let id = ids.get(sku);
        let id = id.with_context(|| format!("an order is of {sku}, which is no product"))?;
        Ok(json!({ "product_id": id, "quantity": quantity }))
    };
    let items = order.lines.iter().map(line).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(json!({ "items": items }))
}

async fn serve(
    shop: &Shop,
    admin: &Api,
    customer: &Customer,
    orders: Vec<(Value, Ends)>,
) -> anyhow::Result<Served> {
    let all = orders.len();
    let (api, is_new) = match enter(shop, customer).await? {
        Entered::New(api) => (api, true),
        Entered::Again(api) => (api, false),
        Entered::LockedOut => {
            return Ok(Served {
                is_new: false,
                orders: Added { all, added: 0 },
                is_locked_out: true,
            });
        }
    };
    let placed = patiently(api.get("/orders?page_size=1")).await?.is(200)?["total"].clone();
    let placed = usize::try_from(placed.as_u64().context("a list has a total")?)?;
    for (number, (body, ends)) in orders.into_iter().enumerate().skip(placed) {
        order(&api, admin, number, body, ends).await?;
    }
    Ok(Served {
        is_new,
        orders: Added {
            all,
            added: all.saturating_sub(placed),
        },
        is_locked_out: false,
    })
}

enum Entered {
    New(Api),
    Again(Api),
    LockedOut,
}

/// Registers, or logs in where the account is there. In this order, since a login that is refused is an event of security.
async fn enter(shop: &Shop, Customer { email, name }: &Customer) -> anyhow::Result<Entered> {
    let anybody = shop.anybody();
    let account = json!({ "email": email, "password": PASSWORD, "name": name });
    let answer = patiently(anybody.post("/auth/register").json(account)).await?;
    if answer.status() != 409 {
        return Ok(Entered::New(shop.session(&answer.is(201)?)?.api));
    }
    let credentials = json!({ "email": email, "password": PASSWORD });
    let answer = patiently(anybody.post("/auth/login").json(credentials)).await?;
    if answer.status() == 401 {
        return Ok(Entered::LockedOut);
    }
    Ok(Entered::Again(shop.session(&answer.is(200)?)?.api))
}

/// Places an order and brings it to its end. The key keeps two runs at once from placing it twice.
async fn order(api: &Api, admin: &Api, number: usize, body: Value, ends: Ends) -> anyhow::Result<()> {
    let call = api.post("/orders").json(body);
    let call = call.header("idempotency-key", format!("demo-data-{number}"));
    let order = api.decided(&patiently(call).await?.is(201)?).await?;
    // Of a shop that has sold since the catalogue came, there may not be enough any more.
    if order["status"] != "confirmed" {
        return Ok(());
    }
    let (by, status) = match ends {
        Ends::Confirmed | Ends::Rejected => return Ok(()),
        Ends::Completed => (admin, "completed"),
        Ends::Cancelled => (api, "cancelled"),
    };
    let id = order["id"].as_str().context("an order has an id")?;
    let call = by
        .patch(format!("/orders/{id}"))
        .json(json!({ "status": status }));
    let answer = patiently(call).await?;
    // Of two that do so one comes too late.
    ensure!(matches!(answer.status().as_u16(), 200 | 409), "{answer}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_orders_end_in_every_way_and_are_of_the_customers() {
        let Week { customers, orders } = week().unwrap();
        let ends: BTreeSet<_> = orders.iter().map(|order| order.ends).collect();
        assert_eq!(ends.len(), 4, "{ends:?}");
        for customer in &customers {
            assert!(orders.iter().any(|order| order.customer == customer.email));
        }
        for order in &orders {
            assert!(customers.iter().any(|customer| customer.email == order.customer));
            assert!(!order.lines.is_empty() && order.lines.len() <= 5);
        }
    }
}
