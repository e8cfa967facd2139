//! Allocation and release at the same time.

use futures::future::join_all;
use proto::inventory::{Product, StockAllocation};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use uuid::Uuid;

use crate::support::{Answer, Shop, an_order, line, new_id, try_allocate, try_release};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_orders_of_fifty_units_are_fifty_allocated() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(50).await;
    let orders: Vec<_> = (0..200).map(|_| [an_order(&[(&product, 1)])]).collect();
    let answers = join_all(
        orders
            .iter()
            .map(|order| try_allocate(shop.client.clone(), order)),
    )
    .await;
    let answers: Vec<Answer> = answers.into_iter().flat_map(Result::unwrap).collect();
    let allocated = answers
        .iter()
        .filter(|answer| **answer == Answer::Allocated)
        .count();
    let rejected = answers
        .iter()
        .filter(|answer| **answer == Answer::Insufficient(product.id.clone()))
        .count();
    assert_eq!((allocated, rejected), (50, 150));
    assert_eq!(shop.units(&product).await, 0);
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

/// Orders whose products are unknown hold no common lock: only their own rows keep them apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_decided_once_even_where_no_stock_is_locked() {
    let shop = Shop::open().await;
    let product = shop.add_with_stock(1_000).await;
    for _ in 0..10 {
        let mut orders: Vec<StockAllocation> = (0..40).map(|_| an_order(&[(&product, 1)])).collect();
        for order in orders.iter_mut().step_by(2) {
            order.lines = vec![line(&new_id(), 1)];
        }
        let mut reversed = orders.clone();
        reversed.reverse();
        let ids: Vec<&str> = orders.iter().map(|order| order.order_id.as_str()).collect();
        let (forwards, backwards, released) = tokio::join!(
            try_allocate(shop.client.clone(), &orders),
            try_allocate(shop.client.clone(), &reversed),
            try_release(shop.client.clone(), &ids),
        );
        assert!(released.unwrap().into_iter().all(|released| released));
        let mut backwards = backwards.unwrap();
        backwards.reverse();
        for (first, second) in forwards.unwrap().into_iter().zip(backwards) {
            let differs_by_release = first == Answer::Released || second == Answer::Released;
            assert!(first == second || differs_by_release, "{first:?} {second:?}");
        }
    }
    assert_eq!(shop.units(&product).await, 1_000, "all was released");
    shop.assert_stock_is_what_the_ledger_says().await;
    shop.close().await;
}

/// Many batches at once, of overlapping products in any order, delivered again and cancelled at random.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_survives_whatever_comes_at_once() {
    let shop = Shop::open().await;
    let mut rng = StdRng::seed_from_u64(20_261_123);
    let products = join_all((0..8).map(|n| shop.add_with_stock(20 * n))).await;
    let orders: Vec<StockAllocation> = (0..300).map(|_| random_order(&mut rng, &products)).collect();

    let batches: Vec<(bool, Vec<StockAllocation>)> = (0..120)
        .map(|_| {
            let size = rng.random_range(1..=25);
            let batch = (0..size)
                .map(|_| orders[rng.random_range(0..orders.len())].clone())
                .collect();
            (rng.random_ratio(1, 4), batch)
        })
        .collect();
    let calls = batches.iter().map(|(is_release, batch)| {
        let client = shop.client.clone();
        async move {
            if *is_release {
                let ids: Vec<&str> = batch.iter().map(|order| order.order_id.as_str()).collect();
                try_release(client, &ids).await.map(|_| Vec::new())
            } else {
                let ids = batch.iter().map(|order| order.order_id.clone());
                try_allocate(client, batch)
                    .await
                    .map(|answers| ids.zip(answers).collect())
            }
        }
    });
    let mut told: Vec<(String, Answer)> = Vec::new();
    for call in join_all(calls).await {
        told.extend(call.expect("no deadlock and nothing given up"));
    }

    shop.assert_stock_is_what_the_ledger_says().await;
    assert_ledger_fits_decisions(&shop).await;
    // Whoever was told that an order is rejected or released would be told so again; an allocation may have been
    // released since.
    let again = shop.allocate(&orders).await;
    for (order_id, answer) in told {
        let index = orders
            .iter()
            .position(|order| order.order_id == order_id)
            .unwrap();
        let now = &again[index];
        assert!(
            *now == answer || (answer == Answer::Allocated && *now == Answer::Released),
            "{answer:?} {now:?}"
        );
    }
    shop.close().await;
}

fn random_order(rng: &mut StdRng, products: &[Product]) -> StockAllocation {
    let mut chosen: Vec<&Product> = products.iter().collect();
    chosen.shuffle(rng);
    chosen.truncate(rng.random_range(1..=4));
    let mut order = an_order(
        &chosen
            .into_iter()
            .map(|product| (product, rng.random_range(1..=3)))
            .collect::<Vec<_>>(),
    );
    if rng.random_ratio(1, 20) {
        order.lines.push(line(&new_id(), 1));
    }
    order
}

/// Allocated orders have taken and not given back; released ones have given back all that they had taken; the
/// others have moved nothing.
async fn assert_ledger_fits_decisions(shop: &Shop) {
    let wrong: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT order_id, status FROM allocations a
         LEFT JOIN (
             SELECT order_id, count(*) FILTER (WHERE kind = 'allocation') AS taken,
                    count(*) FILTER (WHERE kind = 'release') AS returned, sum(delta) AS balance
             FROM stock_movements WHERE order_id IS NOT NULL GROUP BY order_id
         ) m USING (order_id)
         WHERE NOT CASE status
             WHEN 'allocated' THEN taken > 0 AND returned = 0
             WHEN 'released' THEN taken IS NULL OR (taken = returned AND balance = 0)
             ELSE taken IS NULL END
            OR status IS NULL",
    )
    .fetch_all(shop.database.pool())
    .await
    .unwrap();
    assert_eq!(wrong, []);
}
