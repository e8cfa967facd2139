//! A neighbour of a later version works on the same database.

use proto::order::{
    ActorRole, GetOrderRequest, ListOrdersRequest, NewOrder, Order, OrderOutcome, OrderStatus,
    RecordOutcomesRequest, Rejection, order_outcome, record_outcome_result,
};
use tonic::Code;

use super::support::{World, confirmed, eventually, order_of};

/// Every call of the service.
async fn everything(world: &World, product: &str, key: &str) {
    let new = NewOrder {
        idempotency_key: key.to_owned(),
        request_digest: vec![0; 32],
        ..order_of(&[product])
    };
    let order = world.place(new.clone()).await;
    assert_eq!(world.place(new).await.id, order.id);
    assert_eq!(get(world, &order.id).await, order);
    let mut orders = world.orders.clone();
    for (user_id, status) in [
        (None, OrderStatus::Unspecified),
        (None, OrderStatus::Pending),
        (Some(order.user_id.clone()), OrderStatus::Unspecified),
        (Some(order.user_id.clone()), OrderStatus::Pending),
    ] {
        let request = ListOrdersRequest {
            page: 1,
            page_size: 1,
            user_id,
            status: status.into(),
            ..ListOrdersRequest::default()
        };
        let page = orders.list_orders(request).await.unwrap().into_inner();
        assert_eq!(page.orders, std::slice::from_ref(&order));
    }
    let mut watched = world.watch(&order.id).await;
    assert!(watched.message().await.unwrap().is_some());
    // The second is answered with what there is.
    for _ in 0..2 {
        let results = world.confirm(&[&order.id]).await;
        let confirmed = record_outcome_result::Result::Status(OrderStatus::Confirmed.into());
        assert_eq!(results[0].result, Some(confirmed));
    }
    assert!(watched.message().await.unwrap().is_some());
    let completed = world
        .change(&order, ActorRole::Admin, OrderStatus::Completed)
        .await;
    assert_eq!(completed.unwrap().status_name, "completed");
}

async fn get(world: &World, id: &str) -> Order {
    let request = GetOrderRequest {
        order_id: id.to_owned(),
        user_id: None,
    };
    let answer = world.orders.clone().get_order(request).await.unwrap();
    answer.into_inner().order.unwrap()
}

#[tokio::test]
async fn a_column_that_a_later_version_adds_disturbs_no_call() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    // So often that whatever connection is used has prepared its statements.
    for round in 0..3 {
        everything(&world, &cup, &format!("before-{round}")).await;
    }
    world.database.add_a_column_to_every_table().await;
    for round in 0..3 {
        everything(&world, &cup, &format!("after-{round}")).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_status_of_a_later_version_is_shown_as_it_is_and_nothing_is_decided_by_it() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    world
        .execute(
            "ALTER TABLE orders DROP CONSTRAINT orders_status_check;
             UPDATE orders SET status = 'packed'",
        )
        .await;
    let shown = get(&world, &order.id).await;
    assert_eq!((shown.status, shown.status_name.as_str()), (0, "packed"));
    let request = ListOrdersRequest {
        page: 1,
        page_size: 10,
        ..ListOrdersRequest::default()
    };
    let list = world
        .orders
        .clone()
        .list_orders(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.orders, [shown]);

    let mut watched = world.watch(&order.id).await;
    let first = watched.message().await.unwrap().unwrap().order.unwrap();
    assert_eq!(first.status_name, "packed");

    for (actor, to) in [
        (ActorRole::Customer, OrderStatus::Cancelled),
        (ActorRole::Admin, OrderStatus::Completed),
    ] {
        let refused = world.change(&order, actor, to).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("packed"), "{refused}");
    }
    let recorded = world.confirm(&[&order.id]).await;
    let unspecified = record_outcome_result::Result::Status(0);
    assert_eq!(
        recorded[0].result,
        Some(unspecified),
        "it is recorded, and changes nothing"
    );
    assert_eq!(get(&world, &order.id).await.status_name, "packed");

    world.execute("UPDATE orders SET status = 'completed'").await;
    let ended = watched.message().await.unwrap().unwrap().order.unwrap();
    assert_eq!(ended.status(), OrderStatus::Completed);
    assert!(watched.message().await.unwrap().is_none());
    world.end().await;
}

#[tokio::test]
async fn a_rejection_of_a_later_version_is_recorded_and_shown_as_it_came() {
    let world = World::start().await;
    // The release before the one that has more reasons makes room for them.
    world
        .execute("ALTER TABLE orders DROP CONSTRAINT orders_rejection_reason_check")
        .await;
    let cup = world.product(1, "EUR").await;
    let order = async || world.place(order_of(&[&cup])).await.id;
    // By its name, by its number alone, by a name that this version gives to another number, and one that says nothing.
    let (named, numbered, renamed, silent) = (order().await, order().await, order().await, order().await);
    let healthy = order().await;
    let rejected = |order_id: &str, reason: i32, reason_name: &str| OrderOutcome {
        order_id: order_id.to_owned(),
        outcome: Some(order_outcome::Outcome::Rejected(Rejection {
            reason,
            product_id: cup.clone(),
            reason_name: reason_name.to_owned(),
            ..Rejection::default()
        })),
        trace: None,
    };
    let outcomes = vec![
        rejected(&named, 0, "address_unknown"),
        rejected(&numbered, 77, ""),
        rejected(&renamed, 78, "product_not_found"),
        rejected(&silent, 0, ""),
        confirmed(&healthy),
    ];
    let request = RecordOutcomesRequest { outcomes };
    let answer = world.orders.clone().record_outcomes(request).await.unwrap();
    let statuses: Vec<_> = answer
        .into_inner()
        .results
        .into_iter()
        .map(|result| match result.result {
            Some(record_outcome_result::Result::Status(status)) => OrderStatus::try_from(status).ok(),
            _ => None,
        })
        .collect();
    let is_rejected = Some(OrderStatus::Rejected);
    assert_eq!(
        statuses,
        [
            is_rejected,
            is_rejected,
            is_rejected,
            None,
            Some(OrderStatus::Confirmed)
        ],
        "one that says nothing is refused, alone"
    );
    for (order, number, name, spelling) in [
        (&named, 0, "address_unknown", "address_unknown"),
        (&numbered, 77, "", "77"),
        (&renamed, 2, "product_not_found", "product_not_found"),
    ] {
        let rejection = get(&world, order).await.rejection.unwrap();
        assert_eq!((rejection.reason, rejection.reason_name.as_str()), (number, name));
        assert_eq!(rejection.product_id, cup);
        eventually("its event says the same", async || {
            let events = world.publications.events().into_iter();
            let mut of_order = events.filter(|event| event.subject == *order);
            of_order.any(|event| {
                let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
                event.r#type == "order.rejected" && data["reason"] == spelling
            })
        })
        .await;
    }
    assert_eq!(get(&world, &silent).await.status(), OrderStatus::Pending);
    world.end().await;
}
