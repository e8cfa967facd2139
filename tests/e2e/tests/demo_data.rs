//! The demo data, put into a shop twice, by the program that `start-services.sh --demo-data` runs and the chart's Job.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
};

use anyhow::{Context as _, ensure};
use e2e::{Api, Shop, Stack, stock_ledger_and_orders_agree, wait_until};
use serde_json::Value;
use shop_client::demo_data::{self, Added, Filled};

#[tokio::test(flavor = "multi_thread")]
async fn demo_data_fill_a_shop_once_and_its_books_agree() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let filled = demo_data::fill(shop).await?;
    let all_new = |added: Added| added.all == added.added;
    assert!(all_new(filled.products) && all_new(filled.customers) && all_new(filled.orders));
    assert_eq!((filled.categories, filled.products.all), (8, 60));

    let admin = shop.admin().await?;
    let products = list(&admin, "/products").await?;
    the_catalogue_is_believable(shop, &products).await?;
    let orders = list(&admin, "/orders").await?;
    assert_eq!(orders.len(), filled.orders.all);
    every_customer_has_ordered_and_orders_have_every_status(&orders, &filled);
    // A cancelled order's stock comes back a moment later.
    let agree = || async {
        Ok(the_books_agree(&admin, &products, &orders)
            .await
            .map_err(|error| format!("{error:#}")))
    };
    let agreed = wait_until("the books agree", agree, Result::is_ok).await?;
    assert_eq!(agreed, Ok(()));

    let again = demo_data::fill(shop).await?;
    assert_eq!(
        [again.products.added, again.customers.added, again.orders.added],
        [0; 3]
    );
    assert_eq!(list(&admin, "/products").await?.len(), 60);
    assert_eq!(list(&admin, "/orders").await?, orders);
    stack.stop().await
}

/// What was interrupted goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_added_and_nobody_is_forced() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let customers = demo_data::customers()?;
    let (first, second) = (&customers[0], &customers[1]);
    // One has an account and no order; another one has an account of the same email, and keeps it.
    shop.register(&first.email, demo_data::PASSWORD).await?;
    shop.register(&second.email, "not what it is in the demo data")
        .await?;
    let filled = demo_data::fill(shop).await?;
    assert_eq!(filled.customers.added, customers.len() - 2);
    assert_eq!(filled.locked_out, slice::from_ref(&second.email));
    let of_first = shop.log_in(&first.email, demo_data::PASSWORD).await?;
    assert!(!list(&of_first.api, "/orders").await?.is_empty());

    // A product that is deleted comes back; one that was put elsewhere is found.
    let admin = shop.admin().await?;
    let products = list(&admin, "/products").await?;
    let path = |product: &Value| format!("/products/{}", product["id"].as_str().unwrap_or_default());
    admin.delete(path(&products[0])).await?.is(200)?;
    let elsewhere = serde_json::json!({ "category": "Elsewhere" });
    admin.patch(path(&products[1])).json(elsewhere).await?.is(200)?;
    let again = demo_data::fill(shop).await?;
    assert_eq!((again.products.all, again.products.added), (60, 1));
    assert_eq!(list(&admin, "/products").await?.len(), 60);
    stack.stop().await
}

/// All of a list that fits into a few pages.
async fn list(api: &Api, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    loop {
        let page = all.len() / 100 + 1;
        let answer = api
            .get(format!("{path}?page_size=100&page={page}"))
            .await?
            .is(200)?;
        let items = answer["items"].as_array().context("a list has items")?;
        all.extend_from_slice(items);
        if items.len() < 100 {
            return Ok(all);
        }
    }
}

async fn the_catalogue_is_believable(shop: &Shop, products: &[Value]) -> anyhow::Result<()> {
    let categories: BTreeSet<_> = products
        .iter()
        .map(|product| product["category"].as_str())
        .collect();
    assert_eq!((products.len(), categories.len()), (60, 8), "{categories:?}");
    let of_availability = |wanted: &str| {
        let some = products
            .iter()
            .filter(|product| product["availability"] == wanted);
        some.count()
    };
    assert!((1..=2).contains(&of_availability("out")), "few are sold out");
    assert!((1..=9).contains(&of_availability("low")), "some are low");
    let mut pictures = BTreeSet::new();
    for product in products {
        let id = product["id"].as_str().context("a product has an id")?;
        let answer = shop.anybody().get(format!("/shop/pictures/{id}.svg")).await?;
        ensure!(
            answer.header("content-type") == Some("image/svg+xml"),
            "no picture: {answer}"
        );
        pictures.insert(answer.text().to_owned());
    }
    assert_eq!(pictures.len(), 60, "each has a picture of its own");
    Ok(())
}

fn every_customer_has_ordered_and_orders_have_every_status(orders: &[Value], filled: &Filled) {
    let mut customers = BTreeSet::new();
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for order in orders {
        customers.insert(order["user_id"].as_str());
        *statuses
            .entry(order["status"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    assert_eq!(customers.len(), filled.customers.all);
    let kinds: Vec<_> = statuses.keys().copied().collect();
    assert_eq!(
        kinds,
        ["cancelled", "completed", "confirmed", "rejected"],
        "{statuses:?}"
    );
    // None is cancelled or rejected that was to be another.
    assert_eq!(
        (statuses["cancelled"], statuses["rejected"]),
        (7, 5),
        "{statuses:?}"
    );
}

async fn the_books_agree(admin: &Api, products: &[Value], orders: &[Value]) -> anyhow::Result<()> {
    let products_of_orders = orders
        .iter()
        .flat_map(|order| order["items"].as_array().into_iter().flatten());
    let ordered: BTreeSet<_> = products_of_orders
        .map(|line| line["product_id"].as_str())
        .collect();
    assert!(
        ordered.len() > 40,
        "most of the catalogue is ordered: {}",
        ordered.len()
    );
    for product in products {
        let id = product["id"].as_str().context("a product has an id")?;
        let movements = format!("/products/{id}/stock/movements?page_size=100");
        let movements = admin.get(movements).await?.is(200)?;
        let items = movements["items"].as_array().context("a list has items")?;
        let initial = items.iter().find(|movement| movement["kind"] == "initial");
        let initial = initial.map_or(0, |movement| movement["delta"].as_i64().unwrap_or_default());
        stock_ledger_and_orders_agree(admin, slice::from_ref(product), initial, orders).await?;
    }
    Ok(())
}
