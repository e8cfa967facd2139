//! An event that can't be published is set aside, and holds up nothing else.

use outbox::Event;
use proto::event::EventType;
use std::collections::HashSet;
use uuid::Uuid;

use crate::support::{World, event, event_of, eventually};

#[tokio::test]
async fn poison_is_set_aside_with_its_reason_while_everything_else_flows() {
    let world = World::start().await;
    let poison = Uuid::now_v7();
    world
        .producer
        .change(|state| assert!(state.poison.insert(poison.to_string())));
    let mut healthy = Vec::new();
    for at_once in 0..20 {
        let mut events: Vec<Event> = (0..10).map(|_| event(Uuid::now_v7()).first()).collect();
        healthy.extend(events.iter().map(|event| event.subject));
        if at_once == 3 {
            events.insert(5, event(poison).first());
        }
        world.append(events).await;
    }
    eventually("all others are published", async || {
        let published: HashSet<Uuid> = world.producer.subjects().into_iter().collect();
        healthy.iter().all(|subject| published.contains(subject))
    })
    .await;
    eventually("the poison is set aside", async || {
        world.count("SELECT count(*) FROM outbox_poison").await == 1
    })
    .await;
    let (subject, reason): (Uuid, String) = sqlx::query_as("SELECT subject, reason FROM outbox_poison")
        .fetch_one(world.fixture.pool())
        .await
        .unwrap();
    assert_eq!(
        (subject, reason.as_str()),
        (poison, "Unknown: refused as a whole")
    );
    assert_eq!(world.count("SELECT count(*) FROM outbox_events").await, 0);
    world.end().await;
}

#[tokio::test]
async fn an_event_that_is_refused_for_its_trace_is_published_without_it() {
    let world = World::start().await;
    world.producer.change(|state| state.dislikes_traces = true);
    let subject = Uuid::now_v7();
    world.append(vec![event(subject).first()]).await;
    eventually("it is published", async || world.producer.subjects() == [subject]).await;
    assert_eq!(world.count("SELECT count(*) FROM outbox_poison").await, 0);
    world.end().await;
}

#[tokio::test]
async fn an_event_whose_data_is_refused_is_set_aside() {
    let world = World::start().await;
    let kind = EventType::OrderCompleted;
    world
        .producer
        .change(|state| state.refused = Some((kind, "data")));
    let (poison, other) = (Uuid::now_v7(), Uuid::now_v7());
    world
        .append(vec![event_of(kind, poison).first(), event(other).first()])
        .await;
    eventually("the poison is set aside", async || {
        world.count("SELECT count(*) FROM outbox_poison").await == 1
    })
    .await;
    assert_eq!(world.producer.subjects(), [other]);
    assert_eq!(world.count("SELECT count(*) FROM outbox_events").await, 0);
    world.end().await;
}
