//! Batches, idempotency keys and totals.

use futures::future::join_all;
use proto::{
    inventory::DeleteProductRequest,
    order::{GetOrderRequest, NewOrder, NewOrderLine, OrderStatus},
};
use tonic::Code;
use uuid::Uuid;

use super::support::{World, created, eventually, fields, order_of, refused};

fn with_key(order: &NewOrder, key: &str, digest: u8) -> NewOrder {
    NewOrder {
        idempotency_key: key.to_owned(),
        request_digest: vec![digest; 32],
        ..order.clone()
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
    // In one call with an order that can't be priced now, which is refused alone.
    let mut results = world
        .create(vec![order.clone(), with_key(&order, "key", 1)])
        .await
        .unwrap();
    let replay = created(results.remove(1));
    assert!(replay.replayed);
    assert_eq!(replay.order.unwrap(), first, "as it was answered, pending");
    assert_eq!(refused(results.remove(0)).code(), Code::Unavailable);
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
async fn an_order_that_the_database_refuses_takes_no_other_with_it() {
    let world = World::start().await;
    let (cup, pot) = (world.product(1_099, "EUR").await, world.product(1, "EUR").await);
    // Whatever it is that the schema does not take; here, the name of one product.
    sqlx::query("ALTER TABLE order_lines ADD CONSTRAINT no_pots CHECK (unit_price_minor_units > 1)")
        .execute(world.database.pool())
        .await
        .unwrap();
    let mut orders = vec![order_of(&[&cup]); 40];
    orders.insert(17, order_of(&[&pot]));
    let mut results = world.create(orders).await.unwrap();
    assert_eq!(refused(results.remove(17)).code(), Code::Internal);
    let ids: std::collections::HashSet<String> = results
        .into_iter()
        .map(|result| created(result).order.unwrap().id)
        .collect();
    assert_eq!(ids.len(), 40);
    assert_eq!(world.count("SELECT count(*) FROM orders").await, 40);
    world.end().await;
}

#[tokio::test]
async fn an_answer_never_outgrows_its_message() {
    let world = World::start().await;
    // 100 lines of the longest name in the longest characters, 80 times over: far more than a message may have.
    let mut products = Vec::new();
    for _ in 0..100 {
        products.push(world.product_named(&"\u{1f6d2}".repeat(200)).await);
    }
    let order = order_of(&products.iter().map(String::as_str).collect::<Vec<_>>());
    let results = world.create(vec![order; 80]).await.unwrap();
    let (stored, refusals): (Vec<_>, Vec<_>) = results.into_iter().partition(|result| {
        matches!(
            result.outcome,
            Some(proto::order::create_order_result::Outcome::Created(_))
        )
    });
    assert_eq!(
        world.count("SELECT count(*) FROM orders").await,
        i64::try_from(stored.len()).unwrap()
    );
    assert!(!stored.is_empty() && !refusals.is_empty());
    for refusal in refusals {
        let refusal = refused(refusal);
        assert_eq!(
            chassis::grpc::status::reason(&refusal).as_deref(),
            Some("ANSWER_FULL")
        );
    }
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
