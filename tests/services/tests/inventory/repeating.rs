//! Requests that are sent again with their idempotency key: a product is made once, and stock moves once.

use futures::future::join_all;
use proto::inventory::{AdjustStockRequest, CreateProductRequest, Product};
use tonic::Code;

use crate::support::{Shop, a_product, fields, new_id, reason};

fn creating(user: &str, key: &str, digest: u8) -> CreateProductRequest {
    CreateProductRequest {
        idempotency_key: key.to_owned(),
        user_id: user.to_owned(),
        request_digest: vec![digest],
        initial_stock: 3,
        ..a_product()
    }
}

fn adjusting(product: &Product, user: &str, key: &str, digest: u8) -> AdjustStockRequest {
    AdjustStockRequest {
        product_id: product.id.clone(),
        delta: -2,
        reason: "counted".to_owned(),
        idempotency_key: key.to_owned(),
        user_id: user.to_owned(),
        request_digest: vec![digest],
    }
}

#[tokio::test]
async fn the_same_request_is_answered_again_and_another_is_refused() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let user = new_id();
    let first = client
        .create_product(creating(&user, "k", 1))
        .await
        .unwrap()
        .into_inner();
    assert!(!first.replayed);
    let again = client
        .create_product(creating(&user, "k", 1))
        .await
        .unwrap()
        .into_inner();
    assert!(again.replayed);
    assert_eq!(again.product, first.product);
    let product = first.product.unwrap();

    let moved = client
        .adjust_stock(adjusting(&product, &user, "m", 2))
        .await
        .unwrap()
        .into_inner();
    let again = client
        .adjust_stock(adjusting(&product, &user, "m", 2))
        .await
        .unwrap()
        .into_inner();
    assert!(!moved.replayed && again.replayed);
    assert_eq!((again.product, again.movement), (moved.product, moved.movement));
    assert_eq!(shop.units(&product).await, 1);

    // Neither with another body nor by another call.
    let reused = (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED".to_owned());
    let other = client.create_product(creating(&user, "k", 9)).await.unwrap_err();
    assert_eq!(reason(&other), reused);
    let other = client
        .adjust_stock(adjusting(&product, &user, "k", 9))
        .await
        .unwrap_err();
    assert_eq!(reason(&other), reused);
    // A key is its user's own, and what was refused has used none.
    let elses = client
        .create_product(creating(&new_id(), "k", 9))
        .await
        .unwrap()
        .into_inner();
    assert!(!elses.replayed);
    let short = client
        .adjust_stock(adjusting(&product, &user, "s", 3))
        .await
        .unwrap_err();
    assert_eq!(reason(&short).1, "INSUFFICIENT_STOCK");
    shop.adjust(&product, 5).await;
    let enough = client
        .adjust_stock(adjusting(&product, &user, "s", 3))
        .await
        .unwrap()
        .into_inner();
    assert!(!enough.replayed);

    shop.delete(&product).await;
    let still = client
        .adjust_stock(adjusting(&product, &user, "m", 2))
        .await
        .unwrap()
        .into_inner();
    assert!(still.replayed, "also where the product is gone by now");
    for wrong in [creating("me", "k", 1), creating(&user, "ünïcode", 1)] {
        assert_eq!(fields(&client.create_product(wrong).await.unwrap_err()).len(), 1);
    }
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(100).await;
    let user = new_id();
    let all = (0..24).map(|_| {
        let mut client = shop.client.clone();
        let request = adjusting(&product, &user, "k", 1);
        async move { client.adjust_stock(request).await }
    });
    let mut done = 0;
    for answer in join_all(all).await {
        match answer {
            Ok(answer) => done += usize::from(!answer.into_inner().replayed),
            Err(refused) => assert_eq!(
                reason(&refused),
                (Code::Aborted, "IDEMPOTENCY_KEY_IN_FLIGHT".to_owned())
            ),
        }
    }
    assert_eq!((done, shop.units(&product).await), (1, 98));
    shop.close().await;
}

#[tokio::test]
async fn old_keys_are_removed() {
    let shop = Shop::open().await;
    sqlx::query(
        "INSERT INTO idempotency_keys (user_id, key, request_digest, answer, created_at)
         SELECT gen_random_uuid(), 'k', '', '', now() - interval '26 hours' FROM generate_series(1, 2500)",
    )
    .execute(shop.database.pool())
    .await
    .unwrap();
    shop.client
        .clone()
        .create_product(creating(&new_id(), "k", 1))
        .await
        .unwrap();
    let left = async || -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM idempotency_keys");
        count.fetch_one(shop.database.pool()).await.unwrap()
    };
    for _ in 0..100 {
        if left().await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(left().await, 1);
    shop.close().await;
}
