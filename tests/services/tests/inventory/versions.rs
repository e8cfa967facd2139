//! A neighbour of a later version works on the same database.

use proto::inventory::{
    AdjustStockRequest, AllocateStockRequest, GetPricesRequest, ListProductsRequest,
    ListStockMovementsRequest, StockMovement, UpdateProductRequest, stock_allocation_result::Outcome,
};
use tonic::Code;

use crate::support::{Answer, Shop, an_order, reason};

/// Every call of the service.
async fn everything(shop: &Shop) {
    let product = shop.add_with_stock(10).await;
    assert_eq!(shop.get(&product.id).await.as_ref(), Some(&product));
    let mut client = shop.client.clone();
    let product_ids = vec![product.id.clone()];
    let prices = client.get_prices(GetPricesRequest { product_ids }).await.unwrap();
    assert_eq!(prices.into_inner().prices.len(), 1);
    for query in ["", "shirt"] {
        let request = ListProductsRequest {
            page: 1,
            page_size: 1,
            query: query.to_owned(),
            ..ListProductsRequest::default()
        };
        let list = client.list_products(request).await.unwrap().into_inner();
        assert_eq!(list.products, std::slice::from_ref(&product));
    }
    for name in [None, Some("Blouse".to_owned())] {
        let request = UpdateProductRequest {
            product_id: product.id.clone(),
            name,
            ..UpdateProductRequest::default()
        };
        client.update_product(request).await.unwrap();
    }
    let request = AdjustStockRequest {
        product_id: product.id.clone(),
        delta: 1,
        reason: "counted".to_owned(),
        ..AdjustStockRequest::default()
    };
    client.adjust_stock(request).await.unwrap();
    let order = an_order(&[(&product, 3)]);
    // The second is answered with the first one's answer.
    for _ in 0..2 {
        assert_eq!(
            shop.allocate(std::slice::from_ref(&order)).await,
            [Answer::Allocated]
        );
    }
    assert_eq!(shop.release(&[&order.order_id]).await, [true]);
    let deltas: Vec<i64> = movements(shop, &product.id)
        .await
        .iter()
        .map(|row| row.delta)
        .collect();
    assert_eq!(deltas, [3, -3, 1, 10]);
    shop.delete(&product).await;
}

async fn movements(shop: &Shop, product_id: &str) -> Vec<StockMovement> {
    let request = ListStockMovementsRequest {
        product_id: product_id.to_owned(),
        page: 1,
        page_size: 10,
        cursor: None,
    };
    let answer = shop.client.clone().list_stock_movements(request).await.unwrap();
    answer.into_inner().movements
}

#[tokio::test]
async fn a_column_that_a_later_version_adds_disturbs_no_call() {
    let shop = Shop::open().await;
    // So often that whatever connection is used has prepared its statements.
    for _ in 0..3 {
        everything(&shop).await;
    }
    shop.database.add_a_column_to_every_table().await;
    for _ in 0..3 {
        everything(&shop).await;
    }
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn a_kind_of_movement_of_a_later_version_is_shown_as_it_is() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(1).await;
    sqlx::raw_sql(
        "ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_kind_check;
         UPDATE stock_movements SET kind = 'returned'",
    )
    .execute(shop.database.pool())
    .await
    .unwrap();
    let ledger = movements(&shop, &product.id).await;
    let rows: Vec<_> = ledger
        .iter()
        .map(|row| (row.kind, row.kind_name.as_str(), row.delta))
        .collect();
    assert_eq!(rows, [(0, "returned", 1)]);
    shop.close().await;
}

#[tokio::test]
async fn a_decision_of_a_later_version_touches_no_other_order_of_its_batch() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(10).await;
    let order = || an_order(&[(&product, 1)]);
    let (held, rejected, taken, fresh) = (order(), order(), order(), order());
    shop.allocate(&[held.clone(), rejected.clone(), taken.clone()])
        .await;
    for (id, change) in [
        (&held.order_id, "status = 'held'"),
        (
            &rejected.order_id,
            "status = 'rejected', rejection_reason = 'address_unknown', rejected_product = order_id",
        ),
    ] {
        let statement = format!(
            "ALTER TABLE allocations DROP CONSTRAINT IF EXISTS allocations_status_check,
                 DROP CONSTRAINT IF EXISTS allocations_rejection_reason_check;
             UPDATE allocations SET {change} WHERE order_id = '{id}'"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(shop.database.pool())
            .await
            .unwrap();
    }
    let before = shop.units(&product).await;

    let allocations = vec![held.clone(), rejected.clone(), taken.clone(), fresh.clone()];
    let request = AllocateStockRequest { allocations };
    let answer = shop.client.clone().allocate_stock(request).await.unwrap();
    let outcomes: Vec<_> = answer
        .into_inner()
        .results
        .into_iter()
        .map(|result| result.outcome.unwrap())
        .collect();
    let [
        Outcome::Invalid(refusal),
        Outcome::Rejected(rejection),
        Outcome::Allocated(_),
        Outcome::Allocated(_),
    ] = outcomes.as_slice()
    else {
        panic!("{outcomes:?}");
    };
    assert!(refusal.message.contains("held"), "{refusal:?}");
    assert_eq!(
        reason(&chassis::grpc::status::from_pb(refusal)),
        (Code::FailedPrecondition, "DECIDED_BY_A_LATER_VERSION".to_owned())
    );
    assert_eq!(
        (
            rejection.reason,
            rejection.reason_name.as_str(),
            &rejection.product_id
        ),
        (0, "address_unknown", &rejected.order_id)
    );
    assert_eq!(
        shop.units(&product).await,
        before - 1,
        "only the new one takes stock"
    );

    let all = [&held, &rejected, &taken, &fresh].map(|order| order.order_id.as_str());
    assert_eq!(shop.release(&all).await, [false, true, true, true]);
    assert_eq!(shop.units(&product).await, before + 1, "what is held stays so");
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}
