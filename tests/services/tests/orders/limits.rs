//! What grows: pages to their largest, and the table of keys.

use std::time::{Duration, Instant};

use chassis::grpc::MAX_MESSAGE_SIZE;
use prost::Message as _;
use proto::{
    limits,
    order::{CreateOrdersRequest, GetOrderRequest, ListOrdersRequest},
};
use tonic::Code;
use uuid::Uuid;

use super::support::{World, created, eventually, order_of};

/// 100 orders of 100 lines, each with the longest name in the longest characters and the largest amounts.
const LARGEST_ORDERS: &str = "
    INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, rejection_reason, rejected_product,
                        created_at, updated_at)
    SELECT gen_random_uuid(), gen_random_uuid(), 'rejected', 'EUR', 9223372036854775807, 'insufficient_stock',
           gen_random_uuid(), now(), now()
    FROM generate_series(1, 100);
    INSERT INTO order_lines (order_id, line_no, product_id, product_name, quantity, unit_price_minor_units)
    SELECT id, line_no, gen_random_uuid(), repeat('😀', 200), 10000, 9223372036854775807
    FROM orders, generate_series(1, 100) AS line_no;";

#[tokio::test]
async fn the_largest_page_and_the_largest_order_can_be_read() {
    let world = World::start().await;
    world.execute(LARGEST_ORDERS).await;
    let request = ListOrdersRequest {
        page: 1,
        page_size: 100,
        ..ListOrdersRequest::default()
    };
    let mut orders = world
        .orders
        .clone()
        .max_decoding_message_size(limits::ORDERS_PAGE);
    let page = orders.list_orders(request.clone()).await.unwrap().into_inner();
    let size = page.encoded_len();
    assert!(
        size > 2 * MAX_MESSAGE_SIZE && size <= limits::ORDERS_PAGE,
        "{size}"
    );
    let lines: usize = page.orders.iter().map(|order| order.lines.len()).sum();
    assert_eq!(lines, 10_000);
    let refused = world.orders.clone().list_orders(request).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::OutOfRange,
        "a client that was told nothing takes 4 MiB"
    );

    // A client that was told nothing, too.
    let request = GetOrderRequest {
        order_id: page.orders[0].id.clone(),
        user_id: None,
    };
    let order = world
        .orders
        .clone()
        .get_order(request)
        .await
        .unwrap()
        .into_inner()
        .order;
    assert_eq!(order.as_ref(), Some(&page.orders[0]));
    assert!(order.unwrap().encoded_len() <= limits::ORDER);
    world.end().await;
}

/// A batch at a time, every two seconds, would take 40 seconds.
#[tokio::test]
async fn old_keys_are_gone_within_one_round_and_young_ones_stay() {
    let world = World::start().await;
    world
        .execute(
            "INSERT INTO idempotency_keys (user_id, key, request_digest, answer, created_at)
             SELECT gen_random_uuid(), 'key', decode(repeat('00', 32), 'hex'), decode(repeat('00', 300), 'hex'),
                    now() - CASE WHEN n <= 20000 THEN interval '26 hours' ELSE interval '24 hours' END
             FROM generate_series(1, 20007) AS n",
        )
        .await;
    let began = Instant::now();
    eventually("the old keys are gone", async || {
        world.count("SELECT count(*) FROM idempotency_keys").await == 7
    })
    .await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    world.end().await;
}

/// PostgreSQL has room for 6,400 locks by default, of all replicas together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_to_be_committed_holds_few_locks() {
    const ORDERS: usize = 600;
    let world = World::start().await;
    let product = world.product(1, "EUR").await;
    let mut blocked = world.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE orders IN SHARE MODE")
        .execute(&mut *blocked)
        .await
        .unwrap();
    let placing = (0..ORDERS).map(|_| {
        let (mut orders, mut order) = (world.orders.clone(), order_of(&[&product]));
        order.idempotency_key = Uuid::now_v7().to_string();
        order.request_digest = vec![0; 32];
        tokio::spawn(async move {
            let request = CreateOrdersRequest { orders: vec![order] };
            orders
                .create_orders(request)
                .await
                .unwrap()
                .into_inner()
                .results
                .remove(0)
        })
    });
    let placing: Vec<_> = placing.collect();
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
                    (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut most = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        most = most.max(world.count(held).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    blocked.rollback().await.unwrap();
    for placed in placing {
        created(placed.await.unwrap());
        most = most.max(world.count(held).await);
    }
    assert!((1..=256).contains(&most), "{most}");
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 600);
    assert_eq!(world.count(held).await, 0);
    world.end().await;
}
