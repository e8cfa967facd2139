//! No event is lost, and one order's events keep their order.

use std::collections::{HashMap, HashSet};

use super::support::{World, created, eventually, order_of};

#[tokio::test]
async fn events_wait_while_the_producer_is_down() {
    let mut world = World::start().await;
    let cup = world.product(1, "EUR").await;
    world.stop_producer().await;
    let mut placed = HashSet::new();
    for _ in 0..20 {
        placed.insert(world.place(order_of(&[&cup])).await.id);
    }
    assert_eq!(world.count("SELECT count(*) FROM outbox").await, 20);
    world.start_producer().await;
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    let published: HashSet<String> = world
        .publications
        .events()
        .into_iter()
        .map(|event| event.subject)
        .collect();
    assert_eq!(published, placed);
    world.end().await;
}

#[tokio::test]
async fn a_refused_event_is_tried_again_and_holds_up_only_its_own_order() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    let stuck = world.place(order_of(&[&cup])).await;
    // Its first event may have gone already; from here on it is stuck.
    eventually("the first event is out", async || {
        world.publications.types_of(&stuck.id).len() == 1
    })
    .await;
    world.publications.refuse(&stuck.id);
    world.confirm(&[&stuck.id]).await;
    let free = world.place(order_of(&[&cup])).await;
    world.confirm(&[&free.id]).await;
    eventually("the other order's events are out", async || {
        world.publications.types_of(&free.id) == ["order.created", "order.confirmed"]
    })
    .await;
    eventually("it was tried again", async || {
        world.count("SELECT max(attempts)::bigint FROM outbox").await >= 2
    })
    .await;
    assert_eq!(world.publications.types_of(&stuck.id), ["order.created"]);
    world.publications.accept_all();
    eventually("it is out", async || {
        world.publications.types_of(&stuck.id) == ["order.created", "order.confirmed"]
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn an_event_whose_answer_was_lost_is_sent_again_under_the_same_id() {
    let world = World::start().await;
    let cup = world.product(1, "EUR").await;
    world.publications.lose_answers(2);
    let order = world.place(order_of(&[&cup])).await;
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    let events: Vec<_> = world
        .publications
        .events()
        .into_iter()
        .filter(|event| event.subject == order.id)
        .collect();
    assert_eq!(events.len(), 3);
    assert!(
        events
            .windows(2)
            .all(|pair| pair[0].id == pair[1].id && pair[0].data == pair[1].data)
    );
    world.end().await;
}

#[tokio::test]
async fn replicas_that_relay_together_keep_each_orders_order() {
    let mut world = World::start().await;
    let cup = world.product(1, "EUR").await;
    for _ in 0..3 {
        world.add_replica().await;
    }
    let mut ids = Vec::new();
    for _ in 0..10 {
        let results = world.create(vec![order_of(&[&cup]); 50]).await.unwrap();
        let batch: Vec<String> = results
            .into_iter()
            .map(|result| created(result).order.unwrap().id)
            .collect();
        // At once: the first events are still on their way.
        world
            .confirm(&batch.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
        ids.extend(batch);
    }
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    let mut types: HashMap<String, Vec<String>> = HashMap::new();
    for event in world.publications.events() {
        types.entry(event.subject).or_default().push(event.r#type);
    }
    for id in ids {
        assert_eq!(types[&id], ["order.created", "order.confirmed"], "{id}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_large_backlog_is_read_by_its_index() {
    let mut world = World::start().await;
    world.stop_producer().await;
    let pool = world.database.pool();
    sqlx::query(
        "INSERT INTO outbox (event_id, order_id, type, data, traceparent, tracestate, occurred_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'order.created', '{}', '', '', now()
         FROM generate_series(1, 200000)",
    )
    .execute(pool)
    .await
    .unwrap();
    for analyzed in [false, true] {
        if analyzed {
            sqlx::query("ANALYZE outbox").execute(pool).await.unwrap();
        }
        let explain = format!(
            "EXPLAIN {}",
            order_service::store::TAKE_EVENTS.replace("$1", "500")
        );
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .fetch_all(pool)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(
            plan.contains("Index Scan using outbox_pkey on outbox event"),
            "{plan}"
        );
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
    }
    sqlx::query("TRUNCATE outbox").execute(pool).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn the_rows_of_published_events_are_vacuumed_away_before_autovacuum_looks() {
    let world = World::start().await;
    let pool = world.database.pool();
    sqlx::query(
        "INSERT INTO outbox (event_id, order_id, type, data, traceparent, tracestate, occurred_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'order.created', '{}', '', '', now()
         FROM generate_series(1, 6000)",
    )
    .execute(pool)
    .await
    .unwrap();
    eventually("the outbox was vacuumed", async || {
        world
            .count(
                "SELECT CASE WHEN EXISTS (SELECT FROM outbox) THEN 0 ELSE vacuum_count END
                 FROM pg_stat_all_tables WHERE relid = 'outbox'::regclass",
            )
            .await
            > 0
    })
    .await;
    world.end().await;
}
