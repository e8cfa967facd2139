//! Allocation and release, one after the other.

use proto::inventory::{
    AllocateStockRequest, ReleaseStockRequest, StockAllocation, StockRejectionReason, StockRelease,
    stock_allocation_result::Outcome,
};

use crate::support::{Answer, Shop, an_order, fields, line, new_id};

#[tokio::test]
async fn each_order_of_a_batch_gets_all_of_its_lines_or_none() {
    let shop = Shop::open().await;
    let (shirt, lamp) = (shop.add_with_stock(5).await, shop.add_with_stock(5).await);
    let deleted = shop.add_with_stock(5).await;
    shop.delete(&deleted).await;
    let unknown = new_id();
    let mut orders = vec![
        an_order(&[(&shirt, 2), (&lamp, 6)]),
        an_order(&[(&shirt, 5), (&lamp, 4)]),
        an_order(&[(&lamp, 1), (&shirt, 1)]),
        an_order(&[(&lamp, 1), (&deleted, 1)]),
        an_order(&[(&lamp, 1)]),
        an_order(&[(&lamp, 1)]),
    ];
    orders[4].lines.push(line(&unknown, 1));
    let answers = shop.allocate(&orders).await;
    let expected = [
        Answer::Insufficient(lamp.id.clone()),
        Answer::Allocated,
        Answer::Insufficient(shirt.id.clone()),
        Answer::NotFound(deleted.id.clone()),
        Answer::NotFound(unknown),
        Answer::Allocated,
    ];
    assert_eq!(answers, expected);
    assert_eq!(
        (
            shop.units(&shirt).await,
            shop.units(&lamp).await,
            shop.units(&deleted).await
        ),
        (0, 0, 5)
    );
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn a_repeated_batch_moves_nothing_and_gives_the_first_answers() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(5).await;
    let orders = [
        an_order(&[(&product, 3)]),
        an_order(&[(&product, 3)]),
        an_order(&[(&product, 2)]),
    ];
    let first = shop.allocate(&orders).await;
    assert_eq!(
        first,
        [
            Answer::Allocated,
            Answer::Insufficient(product.id.clone()),
            Answer::Allocated
        ]
    );
    shop.adjust(&product, 100).await;
    assert_eq!(shop.allocate(&orders).await, first);
    assert_eq!(shop.allocate(&orders).await, first);
    // The same order twice in one batch, and with other lines: the first counts.
    let order = an_order(&[(&product, 10)]);
    let changed = StockAllocation {
        lines: vec![line(&product.id, 50)],
        ..order.clone()
    };
    assert_eq!(
        shop.allocate(&[order, changed]).await,
        [Answer::Allocated, Answer::Allocated]
    );
    assert_eq!(shop.units(&product).await, 90);
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn a_rejection_names_every_line_at_fault_also_when_it_is_repeated() {
    let shop = Shop::open().await;
    let (shirt, lamp, cup) = (
        shop.add_with_stock(1).await,
        shop.add_with_stock(5).await,
        shop.add_with_stock(2).await,
    );
    let mut order = an_order(&[(&shirt, 2), (&lamp, 5), (&cup, 3)]);
    let unknown = new_id();
    order.lines.insert(1, line(&unknown, 1));
    let expected = [
        (shirt.id.as_str(), StockRejectionReason::InsufficientStock),
        (unknown.as_str(), StockRejectionReason::ProductNotFound),
        (cup.id.as_str(), StockRejectionReason::InsufficientStock),
    ];
    for _ in 0..2 {
        let request = AllocateStockRequest {
            allocations: vec![order.clone()],
        };
        let mut answer = shop.client.clone().allocate_stock(request).await.unwrap();
        let result = answer.get_mut().results.remove(0);
        let Some(Outcome::Rejected(rejection)) = result.outcome else {
            panic!("{result:?}");
        };
        assert_eq!((rejection.product_id.as_str(), rejection.reason()), expected[0]);
        let lines: Vec<_> = rejection
            .lines
            .iter()
            .map(|line| (line.product_id.as_str(), line.reason()))
            .collect();
        assert_eq!(lines, expected);
        // It is decided: what comes afterwards changes nothing.
        shop.adjust(&shirt, 5).await;
    }
    shop.close().await;
}

#[tokio::test]
async fn a_release_gives_back_once_what_was_taken() {
    let shop = Shop::open().await;
    let (shirt, lamp) = (shop.add_with_stock(5).await, shop.add_with_stock(1).await);
    let taken = an_order(&[(&shirt, 3), (&lamp, 1)]);
    let rejected = an_order(&[(&shirt, 9)]);
    let answers = shop.allocate(&[taken.clone(), rejected.clone()]).await;
    assert_eq!(
        answers,
        [Answer::Allocated, Answer::Insufficient(shirt.id.clone())]
    );
    // Its products may be deleted meanwhile.
    shop.delete(&lamp).await;
    let batch = [
        taken.order_id.as_str(),
        rejected.order_id.as_str(),
        taken.order_id.as_str(),
    ];
    for _ in 0..3 {
        assert_eq!(shop.release(&batch).await, [true, true, true]);
        assert_eq!((shop.units(&shirt).await, shop.units(&lamp).await), (5, 1));
    }
    let repeated = shop.allocate(&[taken, rejected]).await;
    assert_eq!(
        repeated,
        [Answer::Released, Answer::Insufficient(shirt.id.clone())]
    );
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

#[tokio::test]
async fn a_release_that_comes_first_is_remembered() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(5).await;
    let order = an_order(&[(&product, 3)]);
    assert_eq!(
        shop.release(&[&order.order_id, &order.order_id]).await,
        [true, true]
    );
    assert_eq!(
        shop.allocate(std::slice::from_ref(&order)).await,
        [Answer::Released]
    );
    assert_eq!(shop.release(&[&order.order_id]).await, [true]);
    assert_eq!(shop.units(&product).await, 5);
    shop.close().await;
}

#[tokio::test]
async fn a_malformed_item_is_refused_alone() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(10).await;
    let good = || an_order(&[(&product, 1)]);
    let orders = [
        good(),
        StockAllocation {
            order_id: "x".to_owned(),
            ..good()
        },
        StockAllocation {
            lines: vec![],
            ..good()
        },
        StockAllocation {
            lines: vec![line("x", 1)],
            ..good()
        },
        StockAllocation {
            lines: vec![line(&product.id, 0)],
            ..good()
        },
        StockAllocation {
            lines: vec![line(&new_id(), 1), line(&product.id, 1_000_001)],
            ..good()
        },
        StockAllocation {
            lines: vec![line(&product.id, 1), line(&product.id, 1)],
            ..good()
        },
        good(),
    ];
    let invalid = |field: &str| Answer::Invalid(vec![field.to_owned()]);
    let expected = [
        Answer::Allocated,
        invalid("order_id"),
        invalid("lines"),
        invalid("lines[0].product_id"),
        invalid("lines[0].quantity"),
        invalid("lines[1].quantity"),
        invalid("lines[1].product_id"),
        Answer::Allocated,
    ];
    assert_eq!(shop.allocate(&orders).await, expected);
    assert_eq!(shop.units(&product).await, 8);
    assert_eq!(
        shop.release(&["", &orders[0].order_id, "x"]).await,
        [false, true, false]
    );
    assert_eq!(shop.units(&product).await, 9);
    assert_eq!(
        shop.allocate(&orders[1..2]).await,
        expected[1..2],
        "a batch of nothing good"
    );
    assert_eq!(shop.allocate(&[]).await, []);
    shop.close().await;
}

#[tokio::test]
async fn a_batch_has_a_thousand_items_at_most() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(2_000).await;
    let mut orders: Vec<_> = (0..1_001).map(|_| an_order(&[(&product, 1)])).collect();
    let mut client = shop.client.clone();
    let refused = client
        .allocate_stock(AllocateStockRequest {
            allocations: orders.clone(),
        })
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["allocations"]);
    let releases: Vec<_> = orders
        .iter()
        .map(|order| StockRelease {
            order_id: order.order_id.clone(),
            trace: None,
        })
        .collect();
    let refused = client
        .release_stock(ReleaseStockRequest { releases })
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["releases"]);
    assert_eq!(shop.units(&product).await, 2_000);
    orders.pop();
    assert!(
        shop.allocate(&orders)
            .await
            .iter()
            .all(|answer| *answer == Answer::Allocated)
    );
    assert_eq!(shop.units(&product).await, 1_000);
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}
