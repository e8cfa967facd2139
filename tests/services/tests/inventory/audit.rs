//! Every change that a person makes of a product or its stock is committed with its record, and none without one.

use chassis::grpc::{Principal, PrincipalKind};
use proto::inventory::{
    AdjustStockRequest, CreateProductRequest, DeleteProductRequest, UpdateProductRequest,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{Shop, a_product, an_order, usd};

fn admin() -> Principal {
    Principal::anonymous([192, 0, 2, 1].into()).proven(
        PrincipalKind::Admin.into(),
        Uuid::now_v7(),
        Some(Uuid::now_v7()),
    )
}

#[tokio::test]
#[allow(
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "one story, in its order, and the columns of a row"
)]
async fn every_change_by_a_person_is_recorded_and_what_was_refused_or_orders_do_is_not() {
    let shop = Shop::open().await;
    let keeper = admin();
    let mut client = shop.client.clone();
    let new = CreateProductRequest {
        sku: "S-1".to_owned(),
        initial_stock: 3,
        ..a_product()
    };
    let added = client.create_product(keeper.request(new.clone())).await;
    let product = added.unwrap().into_inner().product.unwrap();
    client
        .create_product(keeper.request(new.clone()))
        .await
        .unwrap_err();
    let update = UpdateProductRequest {
        product_id: product.id.clone(),
        name: Some("Blue shirt".to_owned()),
        description: Some("x".repeat(10_000)),
        price: Some(usd(899)),
        ..UpdateProductRequest::default()
    };
    client
        .update_product(keeper.request(update.clone()))
        .await
        .unwrap();
    let refused = UpdateProductRequest {
        expected_version: Some(1),
        ..update
    };
    client.update_product(keeper.request(refused)).await.unwrap_err();
    let adjust = |delta| AdjustStockRequest {
        product_id: product.id.clone(),
        delta,
        reason: "counted".to_owned(),
        ..AdjustStockRequest::default()
    };
    client.adjust_stock(keeper.request(adjust(7))).await.unwrap();
    client
        .adjust_stock(keeper.request(adjust(-11)))
        .await
        .unwrap_err();
    shop.allocate(&[an_order(&[(&product, 1)])]).await;
    // Whose doing it is is not said, as the version before does.
    client.adjust_stock(adjust(-1)).await.unwrap();
    let deletion = || DeleteProductRequest {
        product_id: product.id.clone(),
        expected_version: None,
    };
    client.delete_product(keeper.request(deletion())).await.unwrap();
    client
        .delete_product(keeper.request(deletion()))
        .await
        .unwrap_err();

    let found: Vec<(String, Option<Uuid>, Option<String>, Option<String>, Value)> = sqlx::query_as(
        "SELECT action, actor_id, address, reason, changes FROM audit_records
         WHERE subject_kind = 'product' AND subject_id = $1 ORDER BY at, id",
    )
    .bind(product.id.parse::<Uuid>().unwrap())
    .fetch_all(shop.database.pool())
    .await
    .unwrap();
    let from = || (keeper.user, Some("192.0.2.1".to_owned()));
    let by_keeper = |action: &str, reason: Option<&str>, changes: Value| {
        let (actor, address) = from();
        (
            action.to_owned(),
            actor,
            address,
            reason.map(str::to_owned),
            changes,
        )
    };
    let change = |old: Value, new: Value| json!({ "old": old, "new": new });
    let created = json!({
        "sku": change(Value::Null, "S-1".into()),
        "name": change(Value::Null, new.name.clone().into()),
        "description": change(Value::Null, "".into()),
        "price_minor_units": change(Value::Null, 1_099.into()),
        "currency": change(Value::Null, "USD".into()),
        "category": change(Value::Null, "".into()),
        "image_url": change(Value::Null, "".into()),
        "stock": change(Value::Null, 3.into()),
    });
    let updated = json!({
        "name": change(new.name.clone().into(), "Blue shirt".into()),
        "description": change("".into(), format!("{}…", "x".repeat(199)).into()),
        "price_minor_units": change(1_099.into(), 899.into()),
    });
    let unknown = (
        "stock.adjusted".to_owned(),
        None,
        None,
        Some("counted".to_owned()),
        json!({ "stock": change(9.into(), 8.into()) }),
    );
    let deleted =
        json!({ "sku": change("S-1".into(), Value::Null), "name": change("Blue shirt".into(), Value::Null) });
    let moved = json!({ "stock": change(3.into(), 10.into()) });
    assert_eq!(
        found,
        [
            by_keeper("product.created", None, created),
            by_keeper("product.updated", None, updated),
            by_keeper("stock.adjusted", Some("counted"), moved),
            unknown,
            by_keeper("product.deleted", None, deleted),
        ]
    );
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_records")
        .fetch_one(shop.database.pool())
        .await
        .unwrap();
    assert_eq!(all, 5);
    shop.close().await;
}

/// Neither is there without the other: where nothing can be recorded nothing is changed. Orders go on.
#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(3).await;
    let everything = async || -> String {
        sqlx::query_scalar(
            "SELECT concat((SELECT string_agg(p::text, '' ORDER BY id) FROM products p),
                           (SELECT string_agg(s::text, '' ORDER BY product_id) FROM stock s),
                           (SELECT count(*) FROM stock_movements), (SELECT count(*) FROM outbox_events))",
        )
        .fetch_one(shop.database.pool())
        .await
        .unwrap()
    };
    sqlx::raw_sql("ALTER TABLE audit_records ADD CHECK (action = '') NOT VALID")
        .execute(shop.database.pool())
        .await
        .unwrap();
    let before = everything().await;
    let mut client = shop.client.clone();
    let update = UpdateProductRequest {
        product_id: product.id.clone(),
        name: Some("Blue shirt".to_owned()),
        ..UpdateProductRequest::default()
    };
    let deletion = DeleteProductRequest {
        product_id: product.id.clone(),
        expected_version: None,
    };
    let adjustment = AdjustStockRequest {
        product_id: product.id.clone(),
        delta: 1,
        reason: "counted".to_owned(),
        ..AdjustStockRequest::default()
    };
    let outcomes: [(&str, Result<(), Status>); 4] = [
        ("create", client.create_product(a_product()).await.map(drop)),
        ("update", client.update_product(update).await.map(drop)),
        ("adjust", client.adjust_stock(adjustment).await.map(drop)),
        ("delete", client.delete_product(deletion).await.map(drop)),
    ];
    for (what, outcome) in outcomes {
        assert_eq!(
            outcome.map_err(|status| status.code()),
            Err(Code::Internal),
            "{what}"
        );
    }
    assert_eq!(everything().await, before);
    shop.allocate(&[an_order(&[(&product, 1)])]).await;
    assert_eq!(shop.units(&product).await, 2);
    shop.close().await;
}
