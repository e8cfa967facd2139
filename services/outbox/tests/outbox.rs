//! The outbox on a real database, with a producer-service of the test's own that refuses on demand.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chassis::{
    DefaultAddrs, Running, Service,
    config::{PostgresArgs, ServiceArgs},
    grpc::{ClientChannel, status},
    postgres::Database,
};
use outbox::{Event, Outbox, RelayArgs};
use proto::{
    event::EventType,
    producer::{
        PublishEventsRequest, PublishEventsResponse, PublishResult, Published,
        producer_service_server::{ProducerService, ProducerServiceServer},
        publish_result::Outcome,
    },
    trace::TraceContext,
};
use time::OffsetDateTime;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

/// Keeps what it is given.
#[derive(Clone, Default)]
struct Producer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    events: Vec<proto::producer::Event>,
    /// A call with an event of one of these subjects is refused as a whole, by the code.
    poison: HashSet<String>,
    refusal: Option<Code>,
    /// Calls are refused as a whole where they carry a trace.
    dislikes_traces: bool,
    /// Every event of such a type is refused, by itself, for that field.
    refused: Option<(EventType, &'static str)>,
    /// The bytes of data of each call.
    calls: Vec<usize>,
    /// The types of all events that were looked at.
    attempts: Vec<String>,
}

impl Producer {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn events(&self) -> Vec<proto::producer::Event> {
        self.0.lock().unwrap().events.clone()
    }

    fn subjects(&self) -> Vec<Uuid> {
        let state = self.0.lock().unwrap();
        state
            .events
            .iter()
            .map(|event| event.subject.parse().unwrap())
            .collect()
    }
}

#[tonic::async_trait]
impl ProducerService for Producer {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let mut state = self.0.lock().unwrap();
        let events = request.into_inner().events;
        state
            .calls
            .push(events.iter().map(|event| event.data.len()).sum());
        if state.dislikes_traces && events.iter().any(|event| event.trace.is_some()) {
            return Err(Status::unknown("too much"));
        }
        if events.iter().any(|event| state.poison.contains(&event.subject)) {
            return Err(Status::new(
                state.refusal.unwrap_or(Code::Unknown),
                "refused as a whole",
            ));
        }
        let mut results = Vec::new();
        for event in events {
            let event_id = event.id.clone();
            state.attempts.push(event.r#type.clone());
            let outcome = match state.refused {
                Some((kind, field)) if kind.as_str() == event.r#type => Outcome::Failed(status::to_pb(
                    &status::invalid_field(field, "is not as it should be"),
                )),
                _ => {
                    state.events.push(event);
                    Outcome::Published(Published {})
                }
            };
            results.push(PublishResult {
                event_id,
                outcome: Some(outcome),
            });
        }
        Ok(Response::new(PublishEventsResponse { results }))
    }
}

struct World {
    fixture: fixtures::Database,
    database: Database,
    outbox: Outbox,
    producer: Producer,
    serving: Option<Running>,
    addr: std::net::SocketAddr,
    running: Running,
}

async fn serve(producer: &Producer, args: &ServiceArgs) -> Running {
    let service = Service::bind("producer-service", args, PORTS).await.unwrap();
    let server = ProducerServiceServer::new(producer.clone()).max_decoding_message_size(64 * 1024 * 1024);
    service.serve_grpc(tonic::service::Routes::new(server))
}

impl World {
    async fn start() -> Self {
        let fixture = fixtures::Database::create().await;
        let producer = Producer::default();
        let serving = serve(&producer, &ServiceArgs::loopback()).await;
        let addr = serving.addr();
        let mut service = Service::bind("emitter", &ServiceArgs::loopback(), PORTS)
            .await
            .unwrap();
        let args = PostgresArgs::from_url(fixture.url());
        let database = service.postgres(&args, [outbox::migrations()]).await.unwrap();
        let channel = ClientChannel::new(
            "producer-service",
            format!("http://{addr}").parse().unwrap(),
            None,
        )
        .unwrap();
        let outbox = outbox::start(
            &service,
            database.clone(),
            channel,
            "/emitter",
            &RelayArgs::default(),
        );
        Self {
            fixture,
            database,
            outbox,
            producer,
            serving: Some(serving),
            addr,
            running: service.serve_admin_only(),
        }
    }

    async fn append(&self, events: Vec<Event>) {
        let mut transaction = self.database.begin().await.unwrap();
        self.outbox.append(&mut transaction, events).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(self.fixture.pool())
            .await
            .unwrap()
    }

    async fn end(self) {
        self.running.stop().await.unwrap();
        if let Some(serving) = self.serving {
            serving.stop().await.unwrap();
        }
        self.fixture.drop().await;
    }
}

fn event(subject: Uuid) -> Event {
    event_of(EventType::OrderCreated, subject)
}

fn event_of(kind: EventType, subject: Uuid) -> Event {
    let data = serde_json::json!({});
    Event::new(
        kind,
        subject,
        &data,
        &TraceContext::default(),
        OffsetDateTime::now_utc(),
    )
    .unwrap()
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{what} did not come true within 30 s"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

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
async fn a_held_snapshot_does_not_keep_the_table_large() {
    let fixture = fixtures::Database::create().await;
    let mut service = Service::bind("emitter", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let args = PostgresArgs::from_url(fixture.url());
    let database = service.postgres(&args, [outbox::migrations()]).await.unwrap();
    let mut held = fixture.pool().begin().await.unwrap();
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .execute(&mut *held)
        .await
        .unwrap();
    sqlx::query("SELECT 1 FROM pg_class LIMIT 1")
        .execute(&mut *held)
        .await
        .unwrap();
    // The partition whose time is over is another one after every second minute: not while we look.
    sqlx::query(
        "SELECT pg_sleep(CASE WHEN seconds > 40 THEN 0 ELSE seconds + 1 END)
         FROM (SELECT 120 - extract(epoch FROM clock_timestamp())::bigint % 120 AS seconds) AS turn",
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    // Published long ago: written into the partition whose time is over, and deleted. No vacuum may remove it.
    sqlx::query(
        "INSERT INTO outbox_events (slot, event_id, subject, type, data, traceparent, tracestate, occurred_at)
         SELECT ((extract(epoch FROM now())::bigint / 120 + 1) % 3)::smallint, gen_random_uuid(), gen_random_uuid(),
                'order.created', repeat('x', 200), '', '', now()
         FROM generate_series(1, 20000)",
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    sqlx::query("DELETE FROM outbox_events")
        .execute(fixture.pool())
        .await
        .unwrap();
    sqlx::query("VACUUM outbox_events")
        .execute(fixture.pool())
        .await
        .unwrap();
    let size = async || {
        let query = "SELECT sum(pg_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'outbox_events'::regclass";
        sqlx::query_scalar::<_, i64>(query)
            .fetch_one(fixture.pool())
            .await
            .unwrap()
    };
    assert!(size().await > 1_000_000, "the snapshot keeps the rows");
    let channel =
        ClientChannel::new("producer-service", "http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    let _outbox = outbox::start(&service, database, channel, "/emitter", &RelayArgs::default());
    let running = service.serve_admin_only();
    eventually("the partition is truncated", async || size().await == 0).await;
    held.rollback().await.unwrap();
    running.stop().await.unwrap();
    fixture.drop().await;
}

#[tokio::test]
async fn a_large_backlog_is_read_by_its_index() {
    let fixture = fixtures::Database::create().await;
    let mut service = Service::bind("emitter", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    service
        .postgres(&PostgresArgs::from_url(fixture.url()), [outbox::migrations()])
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO outbox_events (slot, event_id, subject, type, data, traceparent, tracestate, occurred_at)
         SELECT n % 3, gen_random_uuid(), gen_random_uuid(), 'order.created', '{}', '', '', now()
         FROM generate_series(1, 200000) AS n",
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    for analyzed in [false, true] {
        if analyzed {
            sqlx::query("ANALYZE outbox_events")
                .execute(fixture.pool())
                .await
                .unwrap();
        }
        let explain = format!("EXPLAIN {}", outbox::SWEEP.replace("$1", "500"));
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .fetch_all(fixture.pool())
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan using outbox_events_0_pkey"), "{plan}");
        assert!(!plan.contains("Sort  ") && !plan.contains("Seq Scan"), "{plan}");
    }
    service.serve_admin_only().stop().await.unwrap();
    fixture.drop().await;
}
