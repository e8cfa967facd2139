//! Changes by people, outcomes of the stock, and both at once.

use proto::order::{
    ActorRole, GetOrderRequest, OrderOutcome, OrderStatus, RecordOutcomesRequest, RejectedLine, Rejection,
    RejectionReason, UpdateOrderStatusRequest, order_outcome, record_outcome_result,
};
use tonic::Code;
use uuid::Uuid;

use super::support::{World, confirmed, eventually, order_of};

fn result_status(result: &proto::order::RecordOutcomeResult) -> Option<OrderStatus> {
    match result.result {
        Some(record_outcome_result::Result::Status(status)) => OrderStatus::try_from(status).ok(),
        _ => None,
    }
}

#[tokio::test]
async fn statuses_change_as_the_state_machine_says() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    let refusal = world
        .change(&order, ActorRole::Admin, OrderStatus::Completed)
        .await
        .unwrap_err();
    assert_eq!(
        chassis::grpc::status::reason(&refusal).as_deref(),
        Some("INVALID_TRANSITION")
    );
    let refusal = world
        .change(&order, ActorRole::Customer, OrderStatus::Completed)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    let refusal = world
        .change(&order, ActorRole::Admin, OrderStatus::Confirmed)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied, "stock alone confirms");

    world.confirm(&[&order.id]).await;
    let done = world
        .change(&order, ActorRole::Admin, OrderStatus::Completed)
        .await
        .unwrap();
    assert_eq!(done.status(), OrderStatus::Completed);
    let refusal = world
        .change(&order, ActorRole::Customer, OrderStatus::Cancelled)
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
async fn a_wish_that_is_repeated_changes_nothing_and_tells_nobody() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    let cancel = || world.change(&order, ActorRole::Customer, OrderStatus::Cancelled);
    let first = cancel().await.unwrap();
    for _ in 0..3 {
        assert_eq!(cancel().await.unwrap(), first, "also when it last changed");
    }
    let completed = world.place(order_of(&[&cup])).await;
    world.confirm(&[&completed.id]).await;
    let complete = || world.change(&completed, ActorRole::Admin, OrderStatus::Completed);
    let first = complete().await.unwrap();
    assert_eq!(complete().await.unwrap(), first);
    let refused = world
        .change(&completed, ActorRole::Customer, OrderStatus::Completed)
        .await;
    assert_eq!(
        refused.unwrap_err().code(),
        Code::PermissionDenied,
        "though it is so"
    );
    eventually("each change is published once", async || {
        world.count("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    assert_eq!(
        world.publications.types_of(&order.id),
        ["order.created", "order.cancelled"]
    );
    world.end().await;
}

#[tokio::test]
async fn a_status_changes_only_if_it_is_the_expected_one() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let order = world.place(order_of(&[&cup])).await;
    let cancel = |expected: &str| UpdateOrderStatusRequest {
        order_id: order.id.clone(),
        user_id: None,
        actor: ActorRole::Customer.into(),
        status: OrderStatus::Cancelled.into(),
        expected_status_name: Some(expected.to_owned()),
    };
    let mut orders = world.orders.clone();
    for other in ["confirmed", "cancelled", "packed", ""] {
        let refusal = orders.update_order_status(cancel(other)).await.unwrap_err();
        assert_eq!(
            chassis::grpc::status::reason(&refusal).as_deref(),
            Some("VERSION_MISMATCH"),
            "{other}"
        );
    }
    orders.update_order_status(cancel("pending")).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_rejection_names_every_line_at_fault() {
    let world = World::start().await;
    let (cup, pot, lid) = (
        world.product(1, "EUR").await,
        world.product(1, "EUR").await,
        world.product(1, "EUR").await,
    );
    let insufficient = RejectionReason::InsufficientStock;
    let line = |product_id: &str, reason: RejectionReason| RejectedLine {
        product_id: product_id.to_owned(),
        reason: reason.into(),
        reason_name: String::new(),
    };
    let several = vec![
        line(&pot, RejectionReason::ProductNotFound),
        line(&lid, insufficient),
    ];
    // As the version before says it, and as this one does: of one line, and of several.
    for (lines, shown) in [
        (vec![], vec![(pot.as_str(), insufficient)]),
        (vec![line(&pot, insufficient)], vec![(pot.as_str(), insufficient)]),
        (
            several,
            vec![
                (pot.as_str(), RejectionReason::ProductNotFound),
                (lid.as_str(), insufficient),
            ],
        ),
    ] {
        let order = world.place(order_of(&[&cup, &pot, &lid])).await;
        let outcome = OrderOutcome {
            order_id: order.id.clone(),
            outcome: Some(order_outcome::Outcome::Rejected(Rejection {
                reason: shown[0].1.into(),
                product_id: pot.clone(),
                reason_name: String::new(),
                lines,
            })),
            trace: None,
        };
        let outcomes = vec![outcome];
        let recorded = world
            .orders
            .clone()
            .record_outcomes(RecordOutcomesRequest { outcomes })
            .await;
        assert_eq!(
            result_status(&recorded.unwrap().into_inner().results[0]),
            Some(OrderStatus::Rejected)
        );
        let request = GetOrderRequest {
            order_id: order.id.clone(),
            user_id: None,
        };
        let read = world.orders.clone().get_order(request).await.unwrap();
        let rejection = read.into_inner().order.unwrap().rejection.unwrap();
        assert_eq!(
            (rejection.product_id.as_str(), rejection.reason()),
            shown[0],
            "a reader of the version before sees the first"
        );
        let read: Vec<_> = rejection
            .lines
            .iter()
            .map(|line| (line.product_id.as_str(), line.reason()))
            .collect();
        assert_eq!(read, shown);
        let in_event = shown.iter().map(|(product_id, reason)| {
            let reason = reason.as_str_name().trim_start_matches("REJECTION_REASON_");
            serde_json::json!({"product_id": product_id, "reason": reason.to_lowercase()})
        });
        let in_event: serde_json::Value = in_event.collect();
        eventually("its event says the same", async || {
            world.publications.events().into_iter().any(|event| {
                let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
                event.subject == order.id && event.r#type == "order.rejected" && data["lines"] == in_event
            })
        })
        .await;
    }
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
    world
        .change(&cancelled, ActorRole::Customer, OrderStatus::Cancelled)
        .await
        .unwrap();
    let rejected = OrderOutcome {
        order_id: two.id.clone(),
        outcome: Some(order_outcome::Outcome::Rejected(Rejection {
            reason: RejectionReason::InsufficientStock.into(),
            product_id: cup.clone(),
            ..Rejection::default()
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
            world.change(&order, ActorRole::Customer, OrderStatus::Cancelled),
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
