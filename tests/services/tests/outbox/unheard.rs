//! What nobody listens to is not written, for a second.

use proto::event::{EventType, UNHEARD_FOR};
use uuid::Uuid;

use crate::support::{World, event, event_of, eventually};

const KIND: EventType = EventType::OrderConfirmed;

#[tokio::test]
async fn after_an_event_that_nobody_heard_none_of_its_type_is_written_for_a_second() {
    let world = World::start().await;
    assert!(world.outbox.is_heard(KIND));
    world.producer.change(|state| state.unheard = Some(KIND));
    world.append(vec![event_of(KIND, Uuid::now_v7()).first()]).await;
    eventually("it is noticed", async || !world.outbox.is_heard(KIND)).await;

    let (created, confirmed) = (Uuid::now_v7(), Uuid::now_v7());
    world
        .append(vec![
            event_of(KIND, confirmed).first(),
            event(created).first(),
            event_of(KIND, created),
        ])
        .await;
    eventually("the others are published", async || {
        world.producer.events().len() == 2
    })
    .await;
    assert_eq!(world.producer.subjects()[1], created);
    eventually("nothing is left", async || {
        world.count("SELECT count(*) FROM outbox_events").await == 0
    })
    .await;

    // Somebody listens now, and is noticed in time.
    world.producer.change(|state| state.unheard = None);
    tokio::time::sleep(UNHEARD_FOR).await;
    for _ in 0..3 {
        world.append(vec![event_of(KIND, confirmed)]).await;
    }
    eventually("all are published", async || world.producer.events().len() == 5).await;
    world.end().await;
}

#[tokio::test]
async fn rows_that_wait_for_others_are_gone_when_the_service_has_stopped() {
    let world = World::start().await;
    world.producer.change(|state| state.unheard = Some(KIND));
    world.append(vec![event_of(KIND, Uuid::now_v7()).first()]).await;
    eventually("it is noticed", async || !world.outbox.is_heard(KIND)).await;
    for published in 2..6 {
        world.append(vec![event(Uuid::now_v7()).first()]).await;
        eventually("it is published", async || {
            world.producer.events().len() == published
        })
        .await;
    }
    let World {
        running,
        serving,
        fixture,
        ..
    } = world;
    running.stop().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_events")
        .fetch_one(fixture.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
    serving.unwrap().stop().await.unwrap();
    fixture.drop().await;
}
