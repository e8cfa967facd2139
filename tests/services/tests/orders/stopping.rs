//! A stop is quick and clean, whoever follows an order.

use std::time::{Duration, Instant};

use tonic::Code;

use super::support::{World, order_of};

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_stop_and_its_follower_is_told_to_ask_again() {
    let mut world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    let mut answers = world.watch(&order.id).await;
    let first = answers.message().await.unwrap().unwrap().order.unwrap();
    assert_eq!(first.status_name, "pending");

    let began = Instant::now();
    world.stop_orders().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let end = answers.message().await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(chassis::grpc::status::reason(&end).as_deref(), Some("STOPPING"));
    world.end().await;
}
