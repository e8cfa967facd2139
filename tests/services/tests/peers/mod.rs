//! What consumer-service talks to: inventory-service and order-service as their contracts have them, with failures on
//! demand and a record of what they were asked. The real ones are met in the tests of the whole system.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use proto::{
    inventory::{
        inventory_service_server::{InventoryService, InventoryServiceServer},
        *,
    },
    order::{
        order_service_server::{OrderService, OrderServiceServer},
        *,
    },
};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming, transport::Server};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

type Answer<T> = Result<Response<T>, Status>;
pub(crate) type Refuse = Box<dyn Fn(&HashSet<String>) -> Option<Status> + Send>;

/// What the peers know.
#[derive(Default)]
pub(crate) struct State {
    /// The order ids of each allocation call, whatever its outcome.
    pub(crate) allocation_calls: Vec<Vec<String>>,
    /// How each order's allocation came out.
    pub(crate) allocated: HashMap<String, stock_allocation_result::Outcome>,
    /// Orders whose stock was given back.
    pub(crate) released: HashSet<String>,
    /// The outcomes that order-service was told.
    pub(crate) recorded: HashMap<String, order_outcome::Outcome>,
    /// Units there are; an order that wants more is rejected.
    pub(crate) stock: i64,
    /// Whether inventory-service refuses a call about these orders.
    pub(crate) inventory_refuses: Option<Refuse>,
    /// Orders whose allocations are never answered.
    pub(crate) never_answered: HashSet<String>,
    /// Whether the peers say that they are not well.
    pub(crate) unwell: bool,
    /// How often they were asked how they are.
    pub(crate) health_checks: usize,
    /// Whether order-service refuses a call about these orders.
    pub(crate) orders_refuse: Option<Refuse>,
}

/// Both peers, at one address.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    open: watch::Sender<bool>,
}

impl Peers {
    pub(crate) async fn start(stock: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peers = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                stock,
                ..State::default()
            })),
            open: watch::Sender::new(true),
        };
        let server = Server::builder()
            .add_service(InventoryServiceServer::new(peers.clone()))
            .add_service(OrderServiceServer::new(peers.clone()))
            .add_service(HealthServer::new(peers.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        peers
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has allocations answered only while it is open.
    pub(crate) fn gate(&self, open: bool) {
        self.open.send_replace(open);
    }
}

fn check(refuse: Option<&Refuse>, ids: &HashSet<String>) -> Result<(), Status> {
    refuse.and_then(|refuse| refuse(ids)).map_or(Ok(()), Err)
}

#[tonic::async_trait]
impl InventoryService for Peers {
    async fn allocate_stock(&self, request: Request<AllocateStockRequest>) -> Answer<AllocateStockResponse> {
        let allocations = request.into_inner().allocations;
        let ids: Vec<_> = allocations
            .iter()
            .map(|allocation| allocation.order_id.clone())
            .collect();
        self.state().allocation_calls.push(ids.clone());
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        if ids.iter().any(|id| self.state().never_answered.contains(id)) {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        check(state.inventory_refuses.as_ref(), &ids.iter().cloned().collect())?;
        let results = allocations.into_iter().map(|allocation| {
            let outcome = state.allocate(&allocation);
            StockAllocationResult {
                order_id: allocation.order_id,
                outcome: Some(outcome),
            }
        });
        let results = results.collect();
        Ok(Response::new(AllocateStockResponse { results }))
    }

    async fn release_stock(&self, request: Request<ReleaseStockRequest>) -> Answer<ReleaseStockResponse> {
        let ids = request
            .into_inner()
            .releases
            .into_iter()
            .map(|release| release.order_id);
        let results = ids.map(|order_id| {
            self.state().released.insert(order_id.clone());
            StockReleaseResult {
                order_id,
                outcome: Some(stock_release_result::Outcome::Released(Released {})),
            }
        });
        Ok(Response::new(ReleaseStockResponse {
            results: results.collect(),
        }))
    }

    async fn create_product(&self, _: Request<CreateProductRequest>) -> Answer<CreateProductResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn get_products(&self, _: Request<GetProductsRequest>) -> Answer<GetProductsResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    type QuotePricesStream = tokio_stream::Empty<Result<QuotePricesResponse, Status>>;

    async fn quote_prices(
        &self,
        _: Request<Streaming<QuotePricesRequest>>,
    ) -> Answer<Self::QuotePricesStream> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn get_prices(&self, _: Request<GetPricesRequest>) -> Answer<GetPricesResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn list_products(&self, _: Request<ListProductsRequest>) -> Answer<ListProductsResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn list_categories(&self, _: Request<ListCategoriesRequest>) -> Answer<ListCategoriesResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn update_product(&self, _: Request<UpdateProductRequest>) -> Answer<UpdateProductResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn delete_product(&self, _: Request<DeleteProductRequest>) -> Answer<DeleteProductResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn adjust_stock(&self, _: Request<AdjustStockRequest>) -> Answer<AdjustStockResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn list_stock_movements(
        &self,
        _: Request<ListStockMovementsRequest>,
    ) -> Answer<ListStockMovementsResponse> {
        Err(Status::unimplemented("not asked for"))
    }
}

#[tonic::async_trait]
impl Health for Peers {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let mut state = self.state();
        state.health_checks += 1;
        let status = if state.unwell {
            ServingStatus::NotServing
        } else {
            ServingStatus::Serving
        };
        Ok(Response::new(HealthCheckResponse {
            status: status.into(),
        }))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("not asked for"))
    }
}

impl State {
    /// All lines or none, once per order, and nothing for an order that was released before.
    fn allocate(&mut self, allocation: &StockAllocation) -> stock_allocation_result::Outcome {
        use stock_allocation_result::Outcome;
        if let Some(known) = self.allocated.get(&allocation.order_id) {
            return known.clone();
        }
        let wanted: i64 = allocation.lines.iter().map(|line| line.quantity).sum();
        let outcome = if self.released.contains(&allocation.order_id) {
            Outcome::Released(Released {})
        } else if wanted < 1 {
            let message = "lines[0].quantity must be positive".to_owned();
            Outcome::Invalid(tonic_types::pb::Status {
                code: 3,
                message,
                details: Vec::new(),
            })
        } else if wanted > self.stock {
            let reason = StockRejectionReason::InsufficientStock.into();
            Outcome::Rejected(StockRejection {
                reason,
                product_id: allocation.lines[0].product_id.clone(),
                ..StockRejection::default()
            })
        } else {
            self.stock -= wanted;
            Outcome::Allocated(Allocated {})
        };
        self.allocated
            .insert(allocation.order_id.clone(), outcome.clone());
        outcome
    }
}

#[tonic::async_trait]
impl OrderService for Peers {
    async fn record_outcomes(
        &self,
        request: Request<RecordOutcomesRequest>,
    ) -> Answer<RecordOutcomesResponse> {
        let outcomes = request.into_inner().outcomes;
        let mut state = self.state();
        let ids = outcomes.iter().map(|outcome| outcome.order_id.clone()).collect();
        check(state.orders_refuse.as_ref(), &ids)?;
        let results = outcomes.into_iter().map(|outcome| {
            state
                .recorded
                .insert(outcome.order_id.clone(), outcome.outcome.unwrap());
            let result = record_outcome_result::Result::Status(OrderStatus::Confirmed.into());
            RecordOutcomeResult {
                order_id: outcome.order_id,
                result: Some(result),
            }
        });
        let results = results.collect();
        Ok(Response::new(RecordOutcomesResponse { results }))
    }

    type WatchOrderStream = tokio_stream::Empty<Result<WatchOrderResponse, Status>>;

    type PlaceOrdersStream = tokio_stream::Empty<Result<PlaceOrdersResponse, Status>>;

    async fn place_orders(
        &self,
        _: Request<Streaming<PlaceOrdersRequest>>,
    ) -> Answer<Self::PlaceOrdersStream> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn create_orders(&self, _: Request<CreateOrdersRequest>) -> Answer<CreateOrdersResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn get_order_flow(&self, _: Request<GetOrderFlowRequest>) -> Answer<GetOrderFlowResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn get_order(&self, _: Request<GetOrderRequest>) -> Answer<GetOrderResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn list_orders(&self, _: Request<ListOrdersRequest>) -> Answer<ListOrdersResponse> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn watch_order(&self, _: Request<WatchOrderRequest>) -> Answer<Self::WatchOrderStream> {
        Err(Status::unimplemented("not asked for"))
    }
    async fn update_order_status(
        &self,
        _: Request<UpdateOrderStatusRequest>,
    ) -> Answer<UpdateOrderStatusResponse> {
        Err(Status::unimplemented("not asked for"))
    }
}
