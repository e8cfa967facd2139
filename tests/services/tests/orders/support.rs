//! The real order-service and the real inventory-service in this process, each with a database of its own, and a
//! producer-service that keeps what it is given and refuses on demand: RabbitMQ is not what is tested here.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chassis::{
    DefaultAddrs, Running, Service, StartError,
    config::{PostgresArgs, ServiceArgs},
    grpc::{ClientChannel, status},
};
use clap::Parser as _;
use fixtures::Database;
use proto::{
    inventory::{CreateProductRequest, inventory_service_client::InventoryServiceClient},
    money::Money,
    order::{
        ActorRole, CreateOrderResult, CreateOrdersRequest, CreatedOrder, NewOrder, NewOrderLine, Order,
        OrderOutcome, OrderStatus, RecordOutcomeResult, RecordOutcomesRequest, StockConfirmed,
        UpdateOrderStatusRequest, WatchOrderRequest, WatchOrderResponse, create_order_result, order_outcome,
        order_service_client::OrderServiceClient,
    },
    producer::{
        Event, PublishEventsRequest, PublishEventsResponse, PublishResult, Published,
        producer_service_server::{ProducerService, ProducerServiceServer},
        publish_result,
    },
};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

/// What producer-service's stand-in was given, in order of arrival, and what it shall refuse.
#[derive(Clone, Default)]
pub(crate) struct Publications(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    events: Vec<Event>,
    refuse_subjects: HashSet<String>,
    lose_answers: usize,
}

impl Publications {
    /// Events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().events.clone()
    }

    /// The types of one order's events so far.
    pub(crate) fn types_of(&self, order_id: &str) -> Vec<String> {
        self.events()
            .into_iter()
            .filter(|event| event.subject == order_id)
            .map(|event| event.r#type)
            .collect()
    }

    /// Refuses an order's events until told otherwise.
    pub(crate) fn refuse(&self, order_id: &str) {
        self.0.lock().unwrap().refuse_subjects.insert(order_id.to_owned());
    }

    /// Takes everything again.
    pub(crate) fn accept_all(&self) {
        self.0.lock().unwrap().refuse_subjects.clear();
    }

    /// Takes the next calls' events, and answers as if the connection had broken afterwards.
    pub(crate) fn lose_answers(&self, calls: usize) {
        self.0.lock().unwrap().lose_answers = calls;
    }
}

#[tonic::async_trait]
impl ProducerService for Publications {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let mut state = self.0.lock().unwrap();
        let mut results = Vec::new();
        for event in request.into_inner().events {
            let event_id = event.id.clone();
            let outcome = if state.refuse_subjects.contains(&event.subject) {
                let refused =
                    status::with_reason(Code::FailedPrecondition, "UNROUTABLE", "no queue takes it");
                publish_result::Outcome::Failed(status::to_pb(&refused))
            } else {
                state.events.push(event);
                publish_result::Outcome::Published(Published::default())
            };
            results.push(PublishResult {
                event_id,
                outcome: Some(outcome),
            });
        }
        if state.lose_answers > 0 {
            state.lose_answers -= 1;
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(Response::new(PublishEventsResponse { results }))
    }
}

/// Everything a test needs.
pub(crate) struct World {
    pub orders: OrderServiceClient<ClientChannel>,
    pub inventory: InventoryServiceClient<ClientChannel>,
    pub publications: Publications,
    pub database: Database,
    pub config: order_service::Config,
    running: Vec<Running>,
    inventory_running: Option<Running>,
    producer: Option<Running>,
    inventory_database: Database,
}

fn channel(running: &Running) -> ClientChannel {
    ClientChannel::new(
        "test",
        format!("http://{}", running.addr()).parse().unwrap(),
        None,
    )
    .unwrap()
}

pub(crate) async fn serve_producer(publications: &Publications, args: &ServiceArgs) -> Running {
    let ports = DefaultAddrs { listen: 0, admin: 0 };
    let service = Service::bind("producer-service", args, ports).await.unwrap();
    service.serve_grpc(tonic::service::Routes::new(ProducerServiceServer::new(
        publications.clone(),
    )))
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these settings of order-service.
    pub(crate) async fn start_with(settings: &[&str]) -> Self {
        let (database, inventory_database) = tokio::join!(Database::create(), Database::create());
        // Its events stay with it.
        let mut inventory_config = inventory_service::Config::parse_from([
            "inventory-service",
            "--producer-service-url=http://127.0.0.1:1",
        ]);
        inventory_config.service = ServiceArgs::loopback();
        inventory_config.postgres = PostgresArgs::from_url(inventory_database.url());
        let inventory_running = inventory_service::start(inventory_config).await.unwrap();
        let publications = Publications::default();
        let producer = serve_producer(&publications, &ServiceArgs::loopback()).await;
        let usual = ["order-service", "--outbox-poll-interval", "100ms"];
        let mut config = order_service::Config::parse_from(usual.iter().chain(settings));
        config.service = ServiceArgs::loopback();
        config.postgres = PostgresArgs::from_url(database.url());
        config.inventory_service_url = format!("http://{}", inventory_running.addr()).parse().unwrap();
        config.producer_service_url = format!("http://{}", producer.addr()).parse().unwrap();
        let running = order_service::start(config.clone()).await.unwrap();
        Self {
            orders: OrderServiceClient::new(channel(&running)),
            inventory: InventoryServiceClient::new(channel(&inventory_running)),
            publications,
            database,
            config,
            running: vec![running],
            inventory_running: Some(inventory_running),
            producer: Some(producer),
            inventory_database,
        }
    }

    /// One more replica; returns a client of its own.
    pub(crate) async fn add_replica(&mut self) -> OrderServiceClient<ClientChannel> {
        let replica = order_service::start(self.config.clone()).await.unwrap();
        let client = OrderServiceClient::new(channel(&replica));
        self.running.push(replica);
        client
    }

    /// Stops every replica, and says how that went.
    pub(crate) async fn stop_orders(&mut self) -> Result<(), StartError> {
        for running in self.running.drain(..) {
            running.stop().await?;
        }
        Ok(())
    }

    /// For what no version of today writes.
    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(self.database.pool())
            .await
            .unwrap();
    }

    pub(crate) async fn stop_inventory(&mut self) {
        self.inventory_running.take().unwrap().stop().await.unwrap();
    }

    pub(crate) async fn stop_producer(&mut self) {
        self.producer.take().unwrap().stop().await.unwrap();
    }

    /// Starts the producer again, where it was.
    pub(crate) async fn start_producer(&mut self) {
        let url = &self.config.producer_service_url;
        let listen_addr = Some(([127, 0, 0, 1], url.port()).into());
        let args = ServiceArgs {
            listen_addr,
            ..ServiceArgs::loopback()
        };
        self.producer = Some(serve_producer(&self.publications, &args).await);
    }

    pub(crate) async fn end(self) {
        for running in self
            .running
            .into_iter()
            .chain(self.inventory_running)
            .chain(self.producer)
        {
            running.stop().await.unwrap();
        }
        self.database.drop().await;
        self.inventory_database.drop().await;
    }

    /// A new product's id.
    pub(crate) async fn product(&self, price: i64, currency: &str) -> String {
        self.new_product("Cup", price, currency).await
    }

    /// A new product's id.
    pub(crate) async fn product_named(&self, name: &str) -> String {
        self.new_product(name, 1, "EUR").await
    }

    async fn new_product(&self, name: &str, price: i64, currency: &str) -> String {
        let request = CreateProductRequest {
            name: name.to_owned(),
            price: Some(Money {
                minor_units: price,
                currency_code: currency.to_owned(),
            }),
            initial_stock: 1_000,
            ..CreateProductRequest::default()
        };
        self.inventory
            .clone()
            .create_product(request)
            .await
            .unwrap()
            .into_inner()
            .product
            .unwrap()
            .id
    }

    pub(crate) async fn create(&self, orders: Vec<NewOrder>) -> Result<Vec<CreateOrderResult>, Status> {
        Ok(self
            .orders
            .clone()
            .create_orders(CreateOrdersRequest { orders })
            .await?
            .into_inner()
            .results)
    }

    /// Places an order that must succeed.
    pub(crate) async fn place(&self, order: NewOrder) -> Order {
        created(self.create(vec![order]).await.unwrap().remove(0))
            .order
            .unwrap()
    }

    pub(crate) async fn change(
        &self,
        order: &Order,
        actor: ActorRole,
        status: OrderStatus,
    ) -> Result<Order, Status> {
        let request = UpdateOrderStatusRequest {
            order_id: order.id.clone(),
            user_id: None,
            actor: actor.into(),
            status: status.into(),
            expected_status_name: None,
        };
        let answer = self.orders.clone().update_order_status(request).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    /// Follows an order that is there, whoever's it is.
    pub(crate) async fn watch(&self, order_id: &str) -> Streaming<WatchOrderResponse> {
        let request = WatchOrderRequest {
            order_id: order_id.to_owned(),
            user_id: None,
        };
        let answer = self.orders.clone().watch_order(request).await;
        answer.unwrap().into_inner()
    }

    pub(crate) async fn confirm(&self, order_ids: &[&str]) -> Vec<RecordOutcomeResult> {
        let outcomes = order_ids.iter().map(|id| confirmed(id)).collect();
        let request = RecordOutcomesRequest { outcomes };
        self.orders
            .clone()
            .record_outcomes(request)
            .await
            .unwrap()
            .into_inner()
            .results
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }
}

pub(crate) fn confirmed(order_id: &str) -> OrderOutcome {
    OrderOutcome {
        order_id: order_id.to_owned(),
        outcome: Some(order_outcome::Outcome::Confirmed(StockConfirmed {})),
        trace: None,
    }
}

/// An order of one unit of each product, by a new user.
pub(crate) fn order_of(products: &[&str]) -> NewOrder {
    NewOrder {
        user_id: Uuid::now_v7().to_string(),
        lines: products
            .iter()
            .map(|id| NewOrderLine {
                product_id: (*id).to_owned(),
                quantity: 1,
            })
            .collect(),
        ..NewOrder::default()
    }
}

pub(crate) fn created(result: CreateOrderResult) -> CreatedOrder {
    match result.outcome.unwrap() {
        create_order_result::Outcome::Created(created) => created,
        create_order_result::Outcome::Refused(refused) => panic!("refused: {refused:?}"),
    }
}

pub(crate) fn refused(result: CreateOrderResult) -> Status {
    match result.outcome.unwrap() {
        create_order_result::Outcome::Refused(refused) => status::from_pb(&refused),
        create_order_result::Outcome::Created(created) => panic!("created: {created:?}"),
    }
}

/// The fields at fault.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = tonic_types::StatusExt::get_details_bad_request(status).unwrap();
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// Waits for what must come true soon.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{what} did not come true"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
