//! Stock by hand, and the ledger.

use futures::future::join_all;
use proto::inventory::{AdjustStockRequest, ListStockMovementsRequest, StockMovementKind};
use tonic::Code;

use crate::support::{Shop, an_order, fields, new_id, reason};

fn adjustment(product_id: &str, delta: i64) -> AdjustStockRequest {
    AdjustStockRequest {
        product_id: product_id.to_owned(),
        delta,
        reason: "counted".to_owned(),
        ..AdjustStockRequest::default()
    }
}

#[tokio::test]
async fn stock_moves_by_hand_but_never_below_zero() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let product = shop.add_with_stock(5).await;
    let moved = client
        .adjust_stock(adjustment(&product.id, -5))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            moved.product.as_ref().unwrap().stock,
            moved.product.unwrap().version
        ),
        (0, 1)
    );
    let movement = moved.movement.unwrap();
    assert_eq!(
        (movement.kind(), movement.delta),
        (StockMovementKind::Adjustment, -5)
    );
    assert_eq!(
        (movement.reason.as_str(), movement.order_id.as_str()),
        ("counted", "")
    );

    let refused = client
        .adjust_stock(adjustment(&product.id, -1))
        .await
        .unwrap_err();
    assert_eq!(
        reason(&refused),
        (Code::FailedPrecondition, "INSUFFICIENT_STOCK".to_owned())
    );
    for id in [new_id(), {
        shop.delete(&product).await;
        product.id.clone()
    }] {
        let refused = client.adjust_stock(adjustment(&id, 1)).await.unwrap_err();
        assert_eq!(reason(&refused), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned()));
    }
    let wrong = AdjustStockRequest {
        reason: " ".to_owned(),
        ..adjustment(&product.id, 0)
    };
    assert_eq!(
        fields(&client.adjust_stock(wrong).await.unwrap_err()),
        ["delta", "reason"]
    );
    assert_eq!(
        fields(&client.adjust_stock(adjustment("", 1)).await.unwrap_err()),
        ["product_id"]
    );
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn concurrent_movements_by_hand_take_no_more_than_there_is() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(10).await;
    let takes = (0..30).map(|_| {
        let mut client = shop.client.clone();
        let request = adjustment(&product.id, -1);
        async move { client.adjust_stock(request).await.is_ok() }
    });
    assert_eq!(
        join_all(takes).await.into_iter().filter(|taken| *taken).count(),
        10
    );
    assert_eq!(shop.units(&product).await, 0);
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn the_ledger_of_a_product_is_listed_newest_first() {
    let shop = Shop::open().await;
    let mut client = shop.client.clone();
    let product = shop.add_with_stock(5).await;
    let other = shop.add_with_stock(1).await;
    shop.adjust(&product, 2).await;
    let order = an_order(&[(&product, 3), (&other, 1)]);
    shop.allocate(std::slice::from_ref(&order)).await;
    shop.release(&[&order.order_id]).await;

    let request = |page, page_size| ListStockMovementsRequest {
        product_id: product.id.clone(),
        page,
        page_size,
        cursor: None,
    };
    let ledger = client
        .list_stock_movements(request(1, 10))
        .await
        .unwrap()
        .into_inner();
    let rows: Vec<_> = ledger
        .movements
        .iter()
        .map(|row| (row.kind(), row.delta, row.order_id.as_str()))
        .collect();
    let expected = [
        (StockMovementKind::Release, 3, order.order_id.as_str()),
        (StockMovementKind::Allocation, -3, order.order_id.as_str()),
        (StockMovementKind::Adjustment, 2, ""),
        (StockMovementKind::Initial, 5, ""),
    ];
    assert_eq!((rows.as_slice(), ledger.total), (&expected[..], 4));
    assert!(ledger.movements.windows(2).all(|pair| pair[0].id > pair[1].id));
    let second = client
        .list_stock_movements(request(2, 3))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (second.movements.as_slice(), second.total),
        (&ledger.movements[3..], 4)
    );

    assert_eq!(
        fields(&client.list_stock_movements(request(0, 101)).await.unwrap_err()),
        ["page_size", "page"]
    );
    let unknown = ListStockMovementsRequest {
        product_id: new_id(),
        page: 1,
        page_size: 1,
        cursor: None,
    };
    assert_eq!(
        client.list_stock_movements(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    shop.close().await;
}
