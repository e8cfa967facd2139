//! How many orders of one customer may be open at once.

use chassis::grpc::status::reason;
use futures::future::join_all;
use order_service::store::{OPEN_AMONG_LATEST, ORDERS_OF_EACH};
use proto::order::{
    ActorRole, CreateOrderResult, CreateOrdersRequest, NewOrder, OrderStatus, create_order_result::Outcome,
};
use tonic::Code;
use uuid::Uuid;

use super::support::{World, created, order_of, refused};

const BOUND: usize = 5;
const ORDERS: &str = "SELECT count(*) FROM orders";
const KEYS: &str = "SELECT count(*) FROM idempotency_keys";

async fn shop_of(bound: usize) -> (World, String) {
    let world = World::start_with(&["--max-open-orders", &bound.to_string()]).await;
    let cup = world.product(1_099, "EUR").await;
    (world, cup)
}

fn with_key(order: &NewOrder, key: &str) -> NewOrder {
    NewOrder {
        idempotency_key: key.to_owned(),
        request_digest: vec![1; 32],
        ..order.clone()
    }
}

async fn one(world: &World, order: &NewOrder) -> CreateOrderResult {
    world.create(vec![order.clone()]).await.unwrap().remove(0)
}

#[track_caller]
fn is_too_many(result: CreateOrderResult) {
    let refused = refused(result);
    assert_eq!(reason(&refused).as_deref(), Some("TOO_MANY_OPEN_ORDERS"));
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let told = format!("{BOUND} of your orders are open, and no more may be. Cancel one,");
    assert!(refused.message().starts_with(&told), "{}", refused.message());
}

fn is_created(result: &CreateOrderResult) -> bool {
    matches!(result.outcome, Some(Outcome::Created(_)))
}

#[tokio::test]
async fn one_more_is_refused_until_one_is_not_open_any_more() {
    let (world, cup) = shop_of(BOUND).await;
    let order = order_of(&[&cup]);
    let mut open = Vec::new();
    for _ in 0..BOUND {
        open.push(world.place(order.clone()).await);
    }
    is_too_many(one(&world, &order).await);
    assert_eq!(world.count(ORDERS).await, 5, "nothing was created");
    // Others have as many.
    world.place(order_of(&[&cup])).await;

    // Confirmed is open too.
    let ids: Vec<&str> = open.iter().map(|order| order.id.as_str()).collect();
    world.confirm(&ids).await;
    is_too_many(one(&world, &order).await);

    for (actor, last) in [
        (ActorRole::Customer, OrderStatus::Cancelled),
        (ActorRole::Admin, OrderStatus::Completed),
    ] {
        world.change(&open.remove(0), actor, last).await.unwrap();
        world.place(order.clone()).await;
        is_too_many(one(&world, &order).await);
    }
    // Twice as many that are long over change nothing.
    world
        .execute(
            "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
             SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, user_id, 'completed', 'EUR', 1, now(), now()
             FROM generate_series(0, 9) AS n, (SELECT user_id FROM orders WHERE status = 'cancelled') AS customer",
        )
        .await;
    is_too_many(one(&world, &order).await);
    world.end().await;
}

#[tokio::test]
async fn a_key_is_not_spent_by_the_refusal_and_its_order_is_answered_again_at_the_bound() {
    let (world, cup) = shop_of(BOUND).await;
    let order = order_of(&[&cup]);
    let first = world.place(with_key(&order, "first")).await;
    for _ in 1..BOUND {
        world.place(order.clone()).await;
    }
    let late = with_key(&order, "late");
    is_too_many(one(&world, &late).await);
    assert_eq!(world.count(KEYS).await, 1);

    let again = created(one(&world, &with_key(&order, "first")).await);
    assert!(again.replayed);
    assert_eq!(again.order.as_ref(), Some(&first));

    world
        .change(&first, ActorRole::Customer, OrderStatus::Cancelled)
        .await
        .unwrap();
    let placed = created(one(&world, &late).await);
    assert!(!placed.replayed);
    let again = created(one(&world, &late).await);
    assert!(again.replayed);
    assert_eq!(again.order, placed.order);
    world.end().await;
}

/// In one call, and in many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_as_many_as_may_be_and_not_one_more() {
    let (world, cup) = shop_of(BOUND).await;
    let (order, other) = (order_of(&[&cup]), order_of(&[&cup]));
    let calls = (0..20).map(|number| {
        let (mut client, keyed) = (world.orders.clone(), with_key(&order, &number.to_string()));
        let orders = vec![order.clone(), keyed, other.clone()];
        tokio::spawn(async move {
            let answer = client.create_orders(CreateOrdersRequest { orders }).await;
            answer.unwrap().into_inner().results
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut placed = 0;
    for results in join_all(calls).await {
        for result in results.unwrap() {
            if is_created(&result) {
                placed += 1;
            } else {
                is_too_many(result);
            }
        }
    }
    assert_eq!(placed, 2 * BOUND);
    assert_eq!(world.count(ORDERS).await, 10);
    world.end().await;
}

/// Of which all but one give their place back: they are counted while they are at work, and not afterwards.
#[tokio::test]
async fn twins_take_one_place() {
    let (world, cup) = shop_of(BOUND).await;
    let order = order_of(&[&cup]);
    for number in 0..BOUND {
        let twins = vec![with_key(&order, &number.to_string()); BOUND - number];
        let results = world.create(twins).await.unwrap();
        assert!(results.iter().any(is_created), "{number}: {results:?}");
    }
    assert_eq!(world.count(ORDERS).await, 5);
    is_too_many(one(&world, &order).await);
    world.end().await;
}

#[tokio::test]
async fn replicas_go_beyond_it_by_a_hundred_each_at_most_and_notice() {
    const LARGER: usize = 150;
    let (mut world, cup) = shop_of(LARGER).await;
    let mut replica = world.add_replica().await;
    let order = order_of(&[&cup]);
    // Both know the customer before there are many.
    world.place(order.clone()).await;
    let orders = vec![order.clone(); 1];
    replica
        .create_orders(CreateOrdersRequest { orders })
        .await
        .unwrap();
    let of_one = world.create(vec![order.clone(); 400]).await.unwrap();
    let orders = vec![order.clone(); 400];
    let of_other = replica
        .create_orders(CreateOrdersRequest { orders })
        .await
        .unwrap()
        .into_inner()
        .results;
    let placed = 2 + of_one
        .iter()
        .chain(&of_other)
        .filter(|one| is_created(one))
        .count();
    assert!((LARGER..=LARGER + 100).contains(&placed), "{placed}");
    assert_eq!(world.count(ORDERS).await, i64::try_from(placed).unwrap());
    for mut client in [world.orders.clone(), replica] {
        let orders = vec![order.clone()];
        let answer = client
            .create_orders(CreateOrdersRequest { orders })
            .await
            .unwrap();
        assert!(!is_created(&answer.into_inner().results[0]));
    }
    world.end().await;
}

/// One question for the first of them, and another for the hundred-and-first.
#[tokio::test]
async fn a_hundred_orders_of_one_customer_are_one_question_to_the_database() {
    let (world, cup) = shop_of(1_000).await;
    world.execute("CREATE EXTENSION pg_stat_statements").await;
    let asked = "SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_statements
                 JOIN pg_database ON pg_database.oid = dbid
                 WHERE datname = current_database() AND query LIKE '%WITH ORDINALITY AS asked%' AND query NOT LIKE '%pg_stat%'";
    let order = order_of(&[&cup]);
    for number in 1..=101 {
        world.place(order.clone()).await;
        if [1, 100].contains(&number) {
            assert_eq!(world.count(asked).await, 1, "{number}");
        }
    }
    assert_eq!(world.count(asked).await, 2);
    world.end().await;
}

#[tokio::test]
async fn where_the_database_can_t_be_asked_the_order_fails_and_the_next_does_not() {
    let (world, cup) = shop_of(BOUND).await;
    let order = order_of(&[&cup]);
    world.execute("ALTER TABLE orders RENAME TO away").await;
    assert_eq!(refused(one(&world, &order).await).code(), Code::Internal);
    world.execute("ALTER TABLE away RENAME TO orders").await;
    for _ in 0..BOUND {
        world.place(order.clone()).await;
    }
    is_too_many(one(&world, &order).await);
    world.end().await;
}

/// As the service plans them: once, whatever they are asked with, while the table is empty or full, analyzed or not.
#[tokio::test]
async fn what_is_read_is_found_by_the_index_of_customers() {
    let world = World::start().await;
    let full = "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
                SELECT gen_random_uuid(), (ARRAY[gen_random_uuid(), '00000000-0000-7000-8000-000000000000'])[1 + n % 10 / 9],
                       'confirmed', 'EUR', 1, now(), now()
                FROM generate_series(1, 100000) AS n";
    world
        .execute("ALTER TABLE orders SET (autovacuum_enabled = off)")
        .await;
    for before in ["", full, "ANALYZE orders", "VACUUM orders"] {
        world.execute(before).await;
        let of_each = plan(
            &world,
            "(uuid[], uuid[], bigint)",
            ORDERS_OF_EACH,
            "('{}', '{}', 10000)",
        );
        let latest = plan(
            &world,
            "(uuid, uuid[], bigint, text[])",
            OPEN_AMONG_LATEST,
            "(gen_random_uuid(), '{}', 20000, '{}')",
        );
        for (plan, only) in [(of_each.await, " Only"), (latest.await, "")] {
            let way = format!("Index{only} Scan Backward using orders_user_idx on orders");
            // The other scans are of what was handed in, and of what was read.
            let others = ["Function Scan", "Subquery Scan"];
            for line in plan.lines().filter(|line| line.contains("Scan")) {
                let is_other = others.iter().any(|other| line.contains(other));
                assert!(is_other || line.contains(&way), "{before}: {plan}");
            }
            assert!(plan.contains(&way) && plan.contains("Limit"), "{before}: {plan}");
        }
    }
    world.end().await;
}

async fn plan(world: &World, types: &str, statement: &str, arguments: &str) -> String {
    let mut session = world.database.pool().acquire().await.unwrap();
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
         PREPARE wanted {types} AS {statement}"
    );
    let explain = format!("EXPLAIN (COSTS off) EXECUTE wanted {arguments}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
        .execute(&mut *session)
        .await
        .unwrap();
    let lines: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .fetch_all(&mut *session)
        .await
        .unwrap();
    sqlx::raw_sql("DEALLOCATE wanted; RESET ALL")
        .execute(&mut *session)
        .await
        .unwrap();
    lines.join("\n")
}

/// The count itself: up to the limit, without those that are left out, each customer's own.
#[tokio::test]
async fn a_customer_is_counted_among_others() {
    let world = World::start().await;
    world
        .execute(
            "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
             SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid,
                    ('00000000-0000-7000-8000-00000000000' || n / 5)::uuid, 'pending', 'EUR', 1, now(), now()
             FROM generate_series(0, 9) AS n",
        )
        .await;
    let nobody = Uuid::now_v7();
    let id = |number: u128| Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 + number);
    let counts: Vec<i64> = sqlx::query_scalar(ORDERS_OF_EACH)
        .bind(vec![id(1), nobody, id(0), id(1)])
        .bind(vec![id(3), id(4)])
        .bind(4_i64)
        .fetch_all(world.database.pool())
        .await
        .unwrap();
    assert_eq!(counts, [4, 0, 3, 4]);
    world.end().await;
}
