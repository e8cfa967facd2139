//! Creating, reading, changing and watching orders.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use futures::{StreamExt as _, future::join_all};
use proto::{
    inventory::DeleteProductRequest,
    order::{
        ActorRole, GetOrderRequest, ListOrdersRequest, NewOrder, NewOrderLine, Order, OrderOutcome,
        OrderStatus, RecordOutcomesRequest, Rejection, RejectionReason, UpdateOrderStatusRequest,
        WatchOrderRequest, order_outcome, record_outcome_result,
    },
};
use support::{World, confirmed, created, eventually, fields, order_of, refused};
use tonic::{Code, Status};
use uuid::Uuid;

fn with_key(order: &NewOrder, key: &str, digest: u8) -> NewOrder {
    NewOrder {
        idempotency_key: key.to_owned(),
        request_digest: vec![digest; 32],
        ..order.clone()
    }
}

async fn change(
    world: &World,
    order: &Order,
    actor: ActorRole,
    status: OrderStatus,
) -> Result<Order, Status> {
    let request = UpdateOrderStatusRequest {
        order_id: order.id.clone(),
        user_id: None,
        actor: actor.into(),
        status: status.into(),
    };
    Ok(world
        .orders
        .clone()
        .update_order_status(request)
        .await?
        .into_inner()
        .order
        .unwrap())
}

fn result_status(result: &proto::order::RecordOutcomeResult) -> Option<OrderStatus> {
    match result.result {
        Some(record_outcome_result::Result::Status(status)) => OrderStatus::try_from(status).ok(),
        _ => None,
    }
}

#[tokio::test]
async fn a_batch_creates_what_it_can_and_refuses_the_rest() {
    let world = World::start().await;
    let (cup, pot) = (
        world.product(1_099, "EUR").await,
        world.product(2_500, "EUR").await,
    );
    let dollar = world.product(100, "USD").await;
    let mut merged = order_of(&[&cup, &pot, &cup]);
    merged.lines[2].quantity = 2;
    let results = world
        .create(vec![
            merged,
            order_of(&[]),
            order_of(&[&cup, &Uuid::now_v7().to_string()]),
            order_of(&[&cup, &dollar]),
            NewOrder {
                lines: vec![NewOrderLine {
                    product_id: "x".into(),
                    quantity: 0,
                }],
                ..order_of(&[])
            },
        ])
        .await
        .unwrap();
    let mut results = results.into_iter();
    let order = created(results.next().unwrap()).order.unwrap();
    assert_eq!(order.status(), OrderStatus::Pending);
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| (line.product_id.as_str(), line.quantity))
        .collect();
    assert_eq!(lines, [(cup.as_str(), 3), (pot.as_str(), 1)]);
    assert_eq!(order.total.as_ref().unwrap().minor_units, 3 * 1_099 + 2_500);
    let refusals: Vec<_> = results.map(|result| fields(&refused(result))).collect();
    assert_eq!(
        refusals,
        [
            vec!["lines"],
            vec!["lines[1].product_id"],
            vec!["lines[1].product_id"],
            vec!["lines[0].quantity", "lines[0].product_id"],
        ]
    );
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 1);
    eventually("the event is published", async || {
        world.publications.types_of(&order.id) == ["order.created"]
    })
    .await;

    let request = GetOrderRequest {
        order_id: order.id.clone(),
        user_id: None,
    };
    let read = world
        .orders
        .clone()
        .get_order(request)
        .await
        .unwrap()
        .into_inner()
        .order
        .unwrap();
    assert_eq!(read, order, "what is read is what was answered");
    let others = GetOrderRequest {
        order_id: order.id,
        user_id: Some(Uuid::now_v7().to_string()),
    };
    assert_eq!(
        world.orders.clone().get_order(others).await.unwrap_err().code(),
        Code::NotFound
    );
    world.end().await;
}

#[tokio::test]
async fn a_repeated_key_gives_the_first_answer_even_when_the_product_and_its_service_are_gone() {
    let mut world = World::start().await;
    let cup = world.product(1_099, "EUR").await;
    let order = order_of(&[&cup]);
    let first = world.place(with_key(&order, "key", 1)).await;

    let reused = refused(
        world
            .create(vec![with_key(&order, "key", 2)])
            .await
            .unwrap()
            .remove(0),
    );
    assert_eq!(reused.code(), Code::FailedPrecondition);
    assert_eq!(
        chassis::grpc::status::reason(&reused).as_deref(),
        Some("IDEMPOTENCY_KEY_REUSED")
    );
    // Another user's key of the same name is another key.
    let others = NewOrder {
        user_id: Uuid::now_v7().to_string(),
        ..with_key(&order, "key", 1)
    };
    assert_ne!(world.place(others).await.id, first.id);

    world.confirm(&[&first.id]).await;
    let deleted = DeleteProductRequest {
        product_id: cup,
        expected_version: None,
    };
    world.inventory.clone().delete_product(deleted).await.unwrap();
    world.stop_inventory().await;
    let replay = created(
        world
            .create(vec![with_key(&order, "key", 1)])
            .await
            .unwrap()
            .remove(0),
    );
    assert!(replay.replayed);
    assert_eq!(replay.order.unwrap(), first, "as it was answered, pending");
    let fresh = world.create(vec![order]).await.unwrap_err();
    assert_eq!(fresh.code(), Code::Unavailable);
    world.end().await;
}

#[tokio::test]
async fn of_simultaneous_twins_one_is_created() {
    let mut world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let replica = world.add_replica().await;
    let order = with_key(&order_of(&[&cup]), "twin", 1);
    // Twins within one batch, between batches, and between replicas.
    let batches = (0..20).map(|n| {
        let mut client = if n % 2 == 0 {
            world.orders.clone()
        } else {
            replica.clone()
        };
        let orders = vec![order.clone(); 3];
        async move {
            client
                .create_orders(proto::order::CreateOrdersRequest { orders })
                .await
                .unwrap()
                .into_inner()
                .results
        }
    });
    let mut ids = Vec::new();
    for result in join_all(batches).await.into_iter().flatten() {
        match result.outcome.clone().unwrap() {
            proto::order::create_order_result::Outcome::Created(created) => {
                ids.push(created.order.unwrap().id);
            }
            proto::order::create_order_result::Outcome::Refused(_) => {
                let refused = refused(result);
                assert_eq!(
                    chassis::grpc::status::reason(&refused).as_deref(),
                    Some("IDEMPOTENCY_KEY_IN_FLIGHT")
                );
                assert_eq!(refused.code(), Code::Aborted);
            }
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "every answer is the same order");
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_total_that_overflows_is_refused() {
    let world = World::start().await;
    let dear = world.product(i64::MAX / 2, "EUR").await;
    let mut order = order_of(&[&dear]);
    order.lines[0].quantity = 3;
    assert_eq!(
        fields(&refused(world.create(vec![order]).await.unwrap().remove(0))),
        ["lines"]
    );
    world.end().await;
}

#[tokio::test]
async fn statuses_change_as_the_state_machine_says() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    let refusal = change(&world, &order, ActorRole::Admin, OrderStatus::Completed)
        .await
        .unwrap_err();
    assert_eq!(
        chassis::grpc::status::reason(&refusal).as_deref(),
        Some("INVALID_TRANSITION")
    );
    let refusal = change(&world, &order, ActorRole::Customer, OrderStatus::Completed)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    let refusal = change(&world, &order, ActorRole::Admin, OrderStatus::Confirmed)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied, "stock alone confirms");

    world.confirm(&[&order.id]).await;
    let done = change(&world, &order, ActorRole::Admin, OrderStatus::Completed)
        .await
        .unwrap();
    assert_eq!(done.status(), OrderStatus::Completed);
    let refusal = change(&world, &order, ActorRole::Customer, OrderStatus::Cancelled)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    eventually("all events are published in order", async || {
        world.publications.types_of(&order.id) == ["order.created", "order.confirmed", "order.completed"]
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn outcomes_are_recorded_once_and_a_cancelled_order_stays_cancelled() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let (one, two) = (
        world.place(order_of(&[&cup])).await,
        world.place(order_of(&[&cup])).await,
    );
    let cancelled = world.place(order_of(&[&cup])).await;
    change(&world, &cancelled, ActorRole::Customer, OrderStatus::Cancelled)
        .await
        .unwrap();
    let rejected = OrderOutcome {
        order_id: two.id.clone(),
        outcome: Some(order_outcome::Outcome::Rejected(Rejection {
            reason: RejectionReason::InsufficientStock.into(),
            product_id: cup.clone(),
        })),
        trace: None,
    };
    let outcomes = vec![
        confirmed(&one.id),
        rejected,
        confirmed(&cancelled.id),
        confirmed(&Uuid::now_v7().to_string()),
        confirmed("no uuid"),
        confirmed(&one.id),
    ];
    for _ in 0..2 {
        let request = RecordOutcomesRequest {
            outcomes: outcomes.clone(),
        };
        let results = world
            .orders
            .clone()
            .record_outcomes(request)
            .await
            .unwrap()
            .into_inner()
            .results;
        let statuses: Vec<_> = results.iter().map(result_status).collect();
        let (confirmed, rejected) = (Some(OrderStatus::Confirmed), Some(OrderStatus::Rejected));
        assert_eq!(
            statuses,
            [
                confirmed,
                rejected,
                Some(OrderStatus::Cancelled),
                None,
                None,
                confirmed
            ]
        );
    }
    let request = GetOrderRequest {
        order_id: two.id.clone(),
        user_id: Some(two.user_id),
    };
    let read = world
        .orders
        .clone()
        .get_order(request)
        .await
        .unwrap()
        .into_inner()
        .order
        .unwrap();
    assert_eq!(read.rejection.unwrap().product_id, cup);
    eventually("each change is published once", async || {
        world.count("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    assert_eq!(
        world.publications.types_of(&one.id),
        ["order.created", "order.confirmed"]
    );
    assert_eq!(
        world.publications.types_of(&two.id),
        ["order.created", "order.rejected"]
    );
    assert_eq!(
        world.publications.types_of(&cancelled.id),
        ["order.created", "order.cancelled"]
    );
    world.end().await;
}

#[tokio::test]
async fn a_cancel_and_an_outcome_at_once_leave_one_story() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    for _ in 0..20 {
        let order = world.place(order_of(&[&cup])).await;
        let ids = [order.id.as_str()];
        let (cancel, _) = tokio::join!(
            change(&world, &order, ActorRole::Customer, OrderStatus::Cancelled),
            world.confirm(&ids)
        );
        assert_eq!(
            cancel.unwrap().status(),
            OrderStatus::Cancelled,
            "pending and confirmed orders can be cancelled"
        );
        eventually("the cancel is published", async || {
            world
                .publications
                .types_of(&order.id)
                .last()
                .is_some_and(|last| last == "order.cancelled")
        })
        .await;
        let types = world.publications.types_of(&order.id);
        assert!(
            types == ["order.created", "order.cancelled"]
                || types == ["order.created", "order.confirmed", "order.cancelled"],
            "{types:?}"
        );
    }
    world.end().await;
}

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
    change(&world, &order, ActorRole::Admin, OrderStatus::Completed)
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
