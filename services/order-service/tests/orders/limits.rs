//! What grows: pages to their largest, and the table of keys.

use std::time::{Duration, Instant};

use chassis::grpc::MAX_MESSAGE_SIZE;
use prost::Message as _;
use proto::{
    limits,
    order::{GetOrderRequest, ListOrdersRequest},
};
use tonic::Code;

use super::support::{World, eventually};

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
