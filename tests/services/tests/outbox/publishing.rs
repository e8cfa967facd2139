//! What is committed is published, in order, and nothing else is.

use chassis::config::ServiceArgs;
use outbox::Event;
use proto::event::EventType;
use std::collections::HashSet;
use std::time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::support::{World, event, event_of, eventually, serve};

#[tokio::test]
async fn what_is_committed_is_published_and_what_is_rolled_back_is_not() {
    let world = World::start().await;
    let (kept, undone) = (Uuid::now_v7(), Uuid::now_v7());
    let mut transaction = world.database.begin().await.unwrap();
    world
        .outbox
        .append(&mut transaction, vec![event(undone)])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    world.append(vec![event(kept).first()]).await;
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox_events").await == 0
    })
    .await;
    assert_eq!(world.producer.subjects(), [kept]);
    world.end().await;
}

#[tokio::test]
async fn a_subjects_events_keep_their_order_whatever_way_they_go() {
    let world = World::start().await;
    let subjects: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    for round in 0..6 {
        // Away for two of the rounds: these go by the sweep, those after them must not overtake.
        world.producer.change(|state| {
            state.refusal = Some(Code::Unavailable);
            state.poison = if (2..4).contains(&round) {
                subjects.iter().map(Uuid::to_string).collect()
            } else {
                HashSet::new()
            };
        });
        world
            .append(subjects.iter().map(|subject| event(*subject)).collect())
            .await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox_events").await == 0
    })
    .await;
    let published = world.producer.events();
    for subject in subjects {
        // Ids are UUIDv7 in the order of their making. A repetition has an id that was there already.
        let mut seen: Vec<Uuid> = Vec::new();
        for event in published
            .iter()
            .filter(|event| event.subject == subject.to_string())
        {
            let id = event.id.parse().unwrap();
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.is_sorted(), "{seen:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn large_events_go_in_calls_that_are_not() {
    let world = World::start().await;
    let large = || {
        let mut event = event(Uuid::now_v7()).first();
        event.data = format!("\"{}\"", "x".repeat(500_000));
        event
    };
    let events: Vec<Event> = (0..30).map(|_| large()).collect();
    let subjects: HashSet<Uuid> = events.iter().map(|event| event.subject).collect();
    world.append(events).await;
    eventually("all are published", async || {
        let published: HashSet<Uuid> = world.producer.subjects().into_iter().collect();
        published == subjects
    })
    .await;
    let calls = world.producer.0.lock().unwrap().calls.clone();
    assert!(calls.iter().all(|bytes| *bytes <= 4 * 1024 * 1024), "{calls:?}");
    world.end().await;
}

#[tokio::test]
async fn while_producer_service_is_away_nothing_is_set_aside() {
    let mut world = World::start().await;
    world.serving.take().unwrap().stop().await.unwrap();
    let subjects: Vec<Uuid> = (0..50).map(|_| Uuid::now_v7()).collect();
    world
        .append(subjects.iter().map(|subject| event(*subject).first()).collect())
        .await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.count("SELECT count(*) FROM outbox_events").await, 50);
    assert_eq!(world.count("SELECT count(*) FROM outbox_poison").await, 0);
    let again = ServiceArgs {
        listen_addr: Some(world.addr),
        ..ServiceArgs::loopback()
    };
    world.serving = Some(serve(&world.producer, &again).await);
    eventually("the outbox is empty", async || {
        world.count("SELECT count(*) FROM outbox_events").await == 0
    })
    .await;
    let published: HashSet<Uuid> = world.producer.subjects().into_iter().collect();
    assert_eq!(published, subjects.into_iter().collect());
    world.end().await;
}

#[tokio::test]
async fn an_event_that_an_older_producer_service_does_not_know_waits_for_a_newer_one() {
    const NEWER: EventType = EventType::OrderCompleted;
    let world = World::start().await;
    world
        .producer
        .change(|state| state.refused = Some((NEWER, "type")));
    let (subject, other) = (Uuid::now_v7(), Uuid::now_v7());
    let events = [
        event_of(NEWER, subject).first(),
        event(subject),
        event(other).first(),
    ];
    let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
    world.append(events.into()).await;
    // More often than any event is tried that is refused for what it is.
    eventually("it is tried for a while", async || {
        let state = world.producer.0.lock().unwrap();
        state
            .attempts
            .iter()
            .filter(|kind| *kind == NEWER.as_str())
            .count()
            >= 7
    })
    .await;
    assert_eq!(
        world.producer.subjects(),
        [other],
        "its subject's next event stays behind it"
    );
    assert_eq!(world.count("SELECT count(*) FROM outbox_poison").await, 0);
    world.producer.change(|state| state.refused = None);
    eventually("the newer one has it", async || {
        world.producer.events().len() == 3
    })
    .await;
    let published: Vec<String> = world
        .producer
        .events()
        .into_iter()
        .map(|event| event.id)
        .collect();
    assert_eq!(published, [ids[2].clone(), ids[0].clone(), ids[1].clone()]);
    world.end().await;
}
