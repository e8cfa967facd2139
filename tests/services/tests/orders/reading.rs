//! Lists, and streams of a status.

use futures::StreamExt as _;
use proto::order::{ActorRole, ListOrdersRequest, NewOrder, OrderStatus, WatchOrderRequest};
use tonic::Code;
use uuid::Uuid;

use super::support::{World, order_of};

#[tokio::test]
async fn lists_are_newest_first_and_filtered() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let user = Uuid::now_v7().to_string();
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(
            world
                .place(NewOrder {
                    user_id: user.clone(),
                    ..order_of(&[&cup])
                })
                .await
                .id,
        );
    }
    world.place(order_of(&[&cup])).await;
    world.confirm(&[&placed[1], &placed[3]]).await;
    placed.reverse();
    let list = async |user_id: Option<&str>, status: OrderStatus, page, page_size| {
        let request = ListOrdersRequest {
            page,
            page_size,
            user_id: user_id.map(str::to_owned),
            status: status.into(),
            ..ListOrdersRequest::default()
        };
        let answer = world
            .orders
            .clone()
            .list_orders(request)
            .await
            .unwrap()
            .into_inner();
        (
            answer
                .orders
                .into_iter()
                .map(|order| order.id)
                .collect::<Vec<_>>(),
            answer.total,
        )
    };
    let any = OrderStatus::Unspecified;
    assert_eq!(list(Some(&user), any, 1, 2).await, (placed[..2].to_vec(), 5));
    assert_eq!(list(Some(&user), any, 3, 2).await, (placed[4..].to_vec(), 5));
    assert_eq!(list(None, any, 1, 100).await.1, 6);
    let confirmed = vec![placed[1].clone(), placed[3].clone()];
    assert_eq!(
        list(Some(&user), OrderStatus::Confirmed, 1, 20).await,
        (confirmed.clone(), 2)
    );
    assert_eq!(list(None, OrderStatus::Confirmed, 1, 20).await, (confirmed, 2));
    for (page, page_size) in [(0, 20), (1, 0), (1, 101), (501, 20)] {
        let request = ListOrdersRequest {
            page,
            page_size,
            ..ListOrdersRequest::default()
        };
        assert_eq!(
            world
                .orders
                .clone()
                .list_orders(request)
                .await
                .unwrap_err()
                .code(),
            Code::InvalidArgument
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_watcher_sees_every_status_until_the_final_one_from_any_replica() {
    let mut world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    let mut replica = world.add_replica().await;
    let request = WatchOrderRequest {
        order_id: order.id.clone(),
        user_id: Some(order.user_id.clone()),
    };
    let here = world
        .orders
        .clone()
        .watch_order(request.clone())
        .await
        .unwrap()
        .into_inner();
    let there = replica.watch_order(request).await.unwrap().into_inner();
    let statuses = |stream: tonic::Streaming<proto::order::WatchOrderResponse>| {
        stream
            .map(|shown| shown.unwrap().order.unwrap().status())
            .collect::<Vec<_>>()
    };
    let (here, there) = (tokio::spawn(statuses(here)), tokio::spawn(statuses(there)));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    world.confirm(&[&order.id]).await;
    // The other replica looks twice a second; only then has it surely seen the status in between.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    world
        .change(&order, ActorRole::Admin, OrderStatus::Completed)
        .await
        .unwrap();
    let story = [
        OrderStatus::Pending,
        OrderStatus::Confirmed,
        OrderStatus::Completed,
    ];
    assert_eq!(here.await.unwrap(), story);
    assert_eq!(there.await.unwrap(), story);

    let stranger = WatchOrderRequest {
        order_id: order.id,
        user_id: Some(Uuid::now_v7().to_string()),
    };
    assert_eq!(
        world
            .orders
            .clone()
            .watch_order(stranger)
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    world.end().await;
}
