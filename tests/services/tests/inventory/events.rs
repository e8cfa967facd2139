//! Every change is committed with its event, and none without one. producer-service is not there: what is written stays.

use std::time::Duration;

use fixtures::Database;
use proto::inventory::{CreateProductRequest, DeleteProductRequest, UpdateProductRequest};
use serde_json::json;

use crate::support::{Answer, Shop, a_product, an_order};

#[tokio::test]
async fn every_change_of_a_product_is_an_event_and_what_was_refused_is_none() {
    let shop = Shop::open().await;
    let product = shop
        .add(CreateProductRequest {
            sku: "S-1".to_owned(),
            initial_stock: 3,
            ..a_product()
        })
        .await;
    let update = UpdateProductRequest {
        product_id: product.id.clone(),
        name: Some("Blue shirt".to_owned()),
        ..UpdateProductRequest::default()
    };
    let mut client = shop.client.clone();
    client.update_product(update.clone()).await.unwrap();
    let refused = UpdateProductRequest {
        expected_version: Some(1),
        ..update
    };
    client.update_product(refused).await.unwrap_err();
    let refused = CreateProductRequest {
        sku: "S-1".to_owned(),
        ..a_product()
    };
    client.create_product(refused).await.unwrap_err();
    shop.adjust(&product, 2).await;
    shop.delete(&product).await;
    let again = DeleteProductRequest {
        product_id: product.id.clone(),
        expected_version: None,
    };
    client.delete_product(again).await.unwrap_err();

    let state = |name: &str, version: i64| {
        json!({
            "product_id": product.id, "sku": "S-1", "name": name, "description": "", "price_minor_units": 1_099,
            "currency": "USD", "category": "", "image_url": "", "version": version,
        })
    };
    let expected = [
        ("product.created", state("Shirt", 1)),
        ("product.updated", state("Blue shirt", 2)),
        ("product.deleted", state("Blue shirt", 2)),
    ];
    assert_eq!(
        shop.events().await,
        expected.map(|(kind, data)| (kind.to_owned(), data)),
        "and none of stock, which nobody asked for"
    );
    shop.close().await;
}

#[tokio::test]
async fn a_change_of_stock_is_one_event_for_each_product_of_the_transaction_where_they_are_wanted() {
    let shop = Shop::open_on(Database::create().await, &["--emit-stock-changed"]).await;
    let (shirt, hat) = (shop.add_with_stock(10).await, shop.add_with_stock(0).await);
    shop.adjust(&hat, 4).await;
    let orders = [
        an_order(&[(&shirt, 2), (&hat, 1)]),
        an_order(&[(&shirt, 3)]),
        an_order(&[(&hat, 9)]),
    ];
    let answers = shop.allocate(&orders).await;
    assert_eq!(answers[..2], [Answer::Allocated, Answer::Allocated]);
    // What was decided before moves nothing.
    shop.allocate(&orders).await;
    shop.release(&[&orders[0].order_id, &orders[2].order_id]).await;

    let mut found = shop.events().await;
    found.retain(|(kind, _)| kind == "stock.changed");
    let changed = |product: &proto::inventory::Product, kind: &str, delta: i64, available: i64| {
        let data = json!({ "product_id": product.id, "kind": kind, "delta": delta, "available": available });
        ("stock.changed".to_owned(), data)
    };
    let mut expected = vec![
        changed(&shirt, "initial", 10, 10),
        changed(&hat, "adjustment", 4, 4),
        changed(&shirt, "allocation", -5, 5),
        changed(&hat, "allocation", -1, 3),
        changed(&shirt, "release", 2, 7),
        changed(&hat, "release", 1, 4),
    ];
    // Those of one transaction are in no particular order.
    for events in [&mut found, &mut expected] {
        events.sort_by_key(|(_, data)| (data["kind"].to_string(), data["product_id"].to_string()));
    }
    assert_eq!(found, expected);
    shop.close().await;
}

#[tokio::test]
async fn an_edit_waits_for_a_change_of_stock_where_both_are_events_and_nowhere_else() {
    for (flags, waits) in [(&["--emit-stock-changed"][..], true), (&[], false)] {
        let shop = Shop::open_on(Database::create().await, flags).await;
        let product = shop.add_with_stock(10).await;
        let mut moving = shop.database.pool().begin().await.unwrap();
        sqlx::query("UPDATE stock SET available = available - 1")
            .execute(&mut *moving)
            .await
            .unwrap();
        let mut client = shop.client.clone();
        let edit = UpdateProductRequest {
            product_id: product.id.clone(),
            name: Some("Blue shirt".to_owned()),
            ..UpdateProductRequest::default()
        };
        let edited = tokio::spawn(async move { client.update_product(edit).await });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(edited.is_finished(), !waits, "{flags:?}");
        moving.rollback().await.unwrap();
        edited.await.unwrap().unwrap();
        shop.close().await;
    }
}
