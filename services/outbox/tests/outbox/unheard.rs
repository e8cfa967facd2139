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
    assert_eq!(world.count("SELECT count(*) FROM outbox_events").await, 0);

    // Somebody listens now, and is noticed in time.
    world.producer.change(|state| state.unheard = None);
    tokio::time::sleep(UNHEARD_FOR).await;
    for _ in 0..3 {
        world.append(vec![event_of(KIND, confirmed)]).await;
    }
    eventually("all are published", async || world.producer.events().len() == 5).await;
    world.end().await;
}
