//! Many want the same last units at the same moment.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use e2e::{Ledger, Stack};
use futures::future::try_join_all;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_simultaneous_orders_of_fifty_units_confirm_fifty() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let admin = stack.shop().admin().await?;
    let customers = try_join_all((0..4).map(|_| stack.shop().customer())).await?;
    let product = admin.new_product("19.99", 50).await?;

    let orders = (0..200)
        .map(|n| customers[n % customers.len()].clone())
        .map(|customer| {
            let product = product.clone();
            async move {
                customer
                    .decided(&customer.place_order(&[(&product, 1)]).await?)
                    .await
            }
        });
    let orders = try_join_all(orders).await?;

    let with_status = |status: &str| {
        orders
            .iter()
            .filter(|order| order["status"] == status)
            .collect::<Vec<_>>()
    };
    let (confirmed, rejected) = (with_status("confirmed"), with_status("rejected"));
    assert_eq!((confirmed.len(), rejected.len()), (50, 150));
    let short = json!({ "reason": "insufficient_stock", "product_id": product["id"] });
    let mut rejection = short.clone();
    rejection["items"] = json!([short]);
    for order in rejected {
        assert_eq!(order["rejection"], rejection);
    }
    assert_eq!(admin.stock_of(&product).await?, 0);
    let ledger = Ledger::read(&admin, &product).await?;
    assert_eq!(ledger.sum, 0);
    let mut took: Vec<&str> = ledger.allocated.keys().map(String::as_str).collect();
    let mut should: Vec<&str> = confirmed.iter().map(|order| id(order)).collect();
    should.sort_unstable();
    took.sort_unstable();
    assert_eq!(took, should, "the ledger has the confirmed orders and no others");
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn baskets_that_overlap_in_every_order_never_lock_each_other_out() -> anyhow::Result<()> {
    const PRODUCTS: usize = 6;
    const ORDERS: usize = 120;
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let products = try_join_all((0..PRODUCTS).map(|_| admin.new_product("3", 60))).await?;

    let orders = (0..ORDERS).map(|n| {
        // Three neighbours, forwards or backwards.
        let mut lines: Vec<(&Value, i64)> =
            (0..3).map(|line| (&products[(n + line) % PRODUCTS], 1)).collect();
        if n % 2 == 1 {
            lines.reverse();
        }
        let customer = &customer;
        async move { customer.decided(&customer.place_order(&lines).await?).await }
    });
    let orders = try_join_all(orders).await?;

    let refused: Vec<&Value> = orders
        .iter()
        .filter(|order| order["status"] != "confirmed")
        .collect();
    assert!(
        refused.is_empty(),
        "each product has just enough for all: {refused:?}"
    );
    for product in &products {
        assert_eq!(admin.stock_of(product).await?, 0);
        assert_eq!(
            Ledger::read(&admin, product).await?.allocated.len(),
            ORDERS * 3 / PRODUCTS
        );
    }
    stack.stop().await
}

fn id(order: &Value) -> &str {
    order["id"].as_str().expect("an order has an id")
}
