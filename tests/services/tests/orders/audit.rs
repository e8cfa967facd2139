//! What a person does to an order is committed with its record; that it was placed, and what became of its stock, is none.

use chassis::grpc::{Principal, PrincipalKind};
use proto::order::{ActorRole, Order, OrderStatus, UpdateOrderStatusRequest};
use serde_json::{Value, json};
use tonic::{Code, Request};
use uuid::Uuid;

use super::support::{World, order_of};

fn somebody(kind: PrincipalKind) -> Principal {
    Principal::anonymous([192, 0, 2, 1].into()).proven(kind.into(), Uuid::now_v7(), None)
}

fn change(order: &Order, actor: ActorRole, status: OrderStatus) -> UpdateOrderStatusRequest {
    UpdateOrderStatusRequest {
        order_id: order.id.clone(),
        user_id: None,
        actor: actor.into(),
        status: status.into(),
        expected_status_name: None,
    }
}

/// Action, kind of actor, actor, order and changes.
async fn records(world: &World) -> Vec<(String, String, Option<Uuid>, Uuid, Value)> {
    sqlx::query_as(
        "SELECT action, actor_kind, actor_id, subject_id, changes FROM audit_records
         WHERE subject_kind = 'order' ORDER BY at, id",
    )
    .fetch_all(world.database.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn cancelling_and_completing_are_recorded_once() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let (customer, admin) = (somebody(PrincipalKind::User), somebody(PrincipalKind::Admin));
    let cancelled = world.place(order_of(&[&cup])).await;
    let completed = world.place(order_of(&[&cup])).await;
    world.confirm(&[&completed.id]).await;
    assert_eq!(records(&world).await, []);
    let mut orders = world.orders.clone();
    for _ in 0..2 {
        // The second time it is so already.
        let cancel = change(&cancelled, ActorRole::Customer, OrderStatus::Cancelled);
        orders
            .update_order_status(customer.request(cancel))
            .await
            .unwrap();
    }
    let refused = change(&cancelled, ActorRole::Admin, OrderStatus::Completed);
    orders
        .update_order_status(admin.request(refused))
        .await
        .unwrap_err();
    let complete = change(&completed, ActorRole::Admin, OrderStatus::Completed);
    orders.update_order_status(admin.request(complete)).await.unwrap();

    let record = |action: &str, actor: &Principal, order: &Order, old: &str, new: &str| {
        (
            action.to_owned(),
            actor.kind.as_str().to_owned(),
            actor.user,
            order.id.parse::<Uuid>().unwrap(),
            json!({ "status": { "old": old, "new": new } }),
        )
    };
    assert_eq!(
        records(&world).await,
        [
            record("order.cancelled", &customer, &cancelled, "pending", "cancelled"),
            record("order.completed", &admin, &completed, "confirmed", "completed"),
        ]
    );
    world.end().await;
}

/// Neither is there without the other: where nothing can be recorded nothing is changed. Orders are placed all the same.
#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    world
        .execute("ALTER TABLE audit_records ADD CHECK (action = '') NOT VALID")
        .await;
    let order = world.place(order_of(&[&cup])).await;
    world.confirm(&[&order.id]).await;
    for (actor, status) in [
        (ActorRole::Customer, OrderStatus::Cancelled),
        (ActorRole::Admin, OrderStatus::Completed),
    ] {
        let request = Request::new(change(&order, actor, status));
        let outcome = world.orders.clone().update_order_status(request).await;
        assert_eq!(outcome.unwrap_err().code(), Code::Internal);
    }
    let (status, events): (String, i64) = sqlx::query_as(
        "SELECT status, (SELECT count(*) FROM outbox_events WHERE type IN ('order.cancelled', 'order.completed'))
         FROM orders",
    )
    .fetch_one(world.database.pool())
    .await
    .unwrap();
    assert_eq!((status.as_str(), events), ("confirmed", 0));
    world.end().await;
}
