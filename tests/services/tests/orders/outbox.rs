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
async fn what_an_older_version_writes_is_published_and_it_can_read_what_is_written() {
    let mut world = World::start().await;
    world.stop_producer().await;
    let cup = world.product(1, "EUR").await;
    let ours = world.place(order_of(&[&cup])).await;
    let theirs = uuid::Uuid::now_v7();
    // As order-service 0.1 has it, to the letter.
    sqlx::query(
        "INSERT INTO outbox (event_id, order_id, type, data, traceparent, tracestate, occurred_at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])",
    )
    .bind(vec![uuid::Uuid::now_v7()])
    .bind(vec![theirs])
    .bind(vec!["order.created"])
    .bind(vec!["{}"])
    .bind(vec![""])
    .bind(vec![""])
    .bind(vec![time::OffsetDateTime::now_utc()])
    .execute(world.database.pool())
    .await
    .unwrap();
    let take = "SELECT order_id FROM outbox AS event
         WHERE next_attempt_at <= now() + interval '1 minute'
           AND NOT EXISTS (
               SELECT FROM outbox AS earlier WHERE earlier.order_id = event.order_id AND earlier.seq < event.seq
           )
         ORDER BY seq LIMIT 10 FOR UPDATE SKIP LOCKED";
    let taken: Vec<uuid::Uuid> = sqlx::query_scalar(take)
        .fetch_all(world.database.pool())
        .await
        .unwrap();
    assert_eq!(
        taken.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [ours.id.clone(), theirs.to_string()]
    );
    world.start_producer().await;
    eventually("both are published", async || {
        !world.publications.types_of(&ours.id).is_empty()
            && !world.publications.types_of(&theirs.to_string()).is_empty()
    })
    .await;
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox_events").await == 0
    })
    .await;
    world.end().await;
}
