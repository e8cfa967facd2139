//! What is made once by its `Idempotency-Key`.

use serde_json::{Value, json};

use crate::{
    shop::Shop,
    support::{is, problem},
};

#[tokio::test]
async fn products_and_movements_are_made_once_by_their_key() {
    let shop = Shop::open().await;
    let product = json!({ "name": "Cup", "price": 5, "stock": 3 });
    let first = shop.post_with_key("/products", "k", &product).await;
    assert_eq!(first.status(), 201);
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first: Value = first.json().await.unwrap();
    // The same, however it is written.
    let written = json!({ "stock": 3.0, "price": 5.00, "currency": "USD", "name": "Cup" });
    let again = shop.post_with_key("/products", "k", &written).await;
    assert_eq!(
        (
            again.status().as_u16(),
            &again.headers()["idempotency-replayed"] == "true"
        ),
        (201, true)
    );
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let other = json!({ "name": "Mug", "price": 5, "stock": 3 });
    let other = shop.post_with_key("/products", "k", &other).await;
    assert_eq!(problem(other).await, is(422, "idempotency-key-reused"));
    assert_eq!(shop.get("/products").await["total"], 1);

    let stock = format!("/products/{}/stock", first["id"].as_str().unwrap());
    let movement = json!({ "delta": -2, "reason": "broken" });
    for _ in 0..3 {
        let moved = shop.post_with_key(&stock, "m", &movement).await;
        assert_eq!(moved.status(), 200);
        assert_eq!(moved.json::<Value>().await.unwrap()["stock"], 1);
    }
    let another_path = shop.post_with_key(&stock, "k", &movement).await;
    assert_eq!(problem(another_path).await, is(422, "idempotency-key-reused"));
    shop.close().await;
}
