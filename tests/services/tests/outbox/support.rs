//! An outbox on a database of its own, and a producer-service of the test's own that refuses on demand.

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
pub(crate) struct Producer(pub(crate) Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) events: Vec<proto::producer::Event>,
    /// A call with an event of one of these subjects is refused as a whole, by the code.
    pub(crate) poison: HashSet<String>,
    pub(crate) refusal: Option<Code>,
    /// Calls are refused as a whole where they carry a trace.
    pub(crate) dislikes_traces: bool,
    /// No queue takes events of such a type.
    pub(crate) unheard: Option<EventType>,
    /// Every event of such a type is refused, by itself, for that field.
    pub(crate) refused: Option<(EventType, &'static str)>,
    /// The bytes of data of each call.
    pub(crate) calls: Vec<usize>,
    /// The types of all events that were looked at.
    pub(crate) attempts: Vec<String>,
}

impl Producer {
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(crate) fn events(&self) -> Vec<proto::producer::Event> {
        self.0.lock().unwrap().events.clone()
    }

    pub(crate) fn subjects(&self) -> Vec<Uuid> {
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
                    let unheard = state.unheard.is_some_and(|kind| kind.as_str() == event.r#type);
                    state.events.push(event);
                    Outcome::Published(Published { unheard })
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

pub(crate) struct World {
    pub(crate) fixture: fixtures::Database,
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) producer: Producer,
    pub(crate) serving: Option<Running>,
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) running: Running,
}

pub(crate) async fn serve(producer: &Producer, args: &ServiceArgs) -> Running {
    let service = Service::bind("producer-service", args, PORTS).await.unwrap();
    let server = ProducerServiceServer::new(producer.clone()).max_decoding_message_size(64 * 1024 * 1024);
    service.serve_grpc(tonic::service::Routes::new(server))
}

/// A service with an outbox's tables, and nothing started.
pub(crate) async fn emitter(fixture: &fixtures::Database) -> (Service, Database) {
    let mut service = Service::bind("emitter", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let args = PostgresArgs::from_url(fixture.url());
    let database = service.postgres(&args, [outbox::migrations()]).await.unwrap();
    (service, database)
}

impl World {
    pub(crate) async fn start() -> Self {
        let fixture = fixtures::Database::create().await;
        let producer = Producer::default();
        let serving = serve(&producer, &ServiceArgs::loopback()).await;
        let addr = serving.addr();
        let (service, database) = emitter(&fixture).await;
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

    pub(crate) async fn append(&self, events: Vec<Event>) {
        let mut transaction = self.database.begin().await.unwrap();
        self.outbox.append(&mut transaction, events).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(self.fixture.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn end(self) {
        self.running.stop().await.unwrap();
        if let Some(serving) = self.serving {
            serving.stop().await.unwrap();
        }
        self.fixture.drop().await;
    }
}

pub(crate) fn event(subject: Uuid) -> Event {
    event_of(EventType::OrderCreated, subject)
}

pub(crate) fn event_of(kind: EventType, subject: Uuid) -> Event {
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

pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{what} did not come true within 30 s"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
