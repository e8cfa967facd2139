//! The services behind the gateway.

use std::future::Future;

use chassis::{
    batch::{BatchError, BatchOptions, Batcher},
    grpc::{self, ClientChannel, status},
    telemetry::trace,
};
use proto::{
    inventory::inventory_service_client::InventoryServiceClient,
    order::{
        CreateOrderResult, CreateOrdersRequest, CreatedOrder, NewOrder, create_order_result::Outcome,
        order_service_client::OrderServiceClient,
    },
    user::user_service_client::UserServiceClient,
};
use tonic::{Code, Response, Status};
use tracing::Instrument as _;

/// Orders that are placed at the same time share a call, and with it a transaction.
const PLACING: BatchOptions = BatchOptions {
    name: "orders to place",
    max_batch: 250,
    max_queued: 4_096,
    max_in_flight: 2,
};

/// Clients of each service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Accounts and sessions.
    pub users: UserServiceClient<ClientChannel>,
    /// Products and stock.
    pub inventory: InventoryServiceClient<ClientChannel>,
    /// Orders.
    pub orders: OrderServiceClient<ClientChannel>,
    placing: Batcher<NewOrder, Result<CreatedOrder, Status>>,
}

impl Backends {
    /// Must be called within a tokio runtime.
    pub fn new(users: ClientChannel, inventory: ClientChannel, orders: ClientChannel) -> Self {
        let orders = OrderServiceClient::new(orders);
        let placing = orders.clone();
        Self {
            users: UserServiceClient::new(users),
            inventory: InventoryServiceClient::new(inventory),
            orders,
            placing: Batcher::spawn(PLACING, move |batch| place_together(placing.clone(), batch)),
        }
    }

    /// Places one order, together with those that are placed at the same time.
    pub async fn place_order(&self, order: NewOrder) -> Result<CreatedOrder, Status> {
        self.placing.submit(order).await.map_err(|error| match error {
            BatchError::Full => Status::resource_exhausted(error.to_string()),
            BatchError::Abandoned => {
                Status::unavailable("the order's batch failed; it may or may not be placed")
            }
        })?
    }
}

/// Makes a call that only reads, again if the service is not there for a moment.
pub async fn read<C, Q, A, F, Fut>(client: &C, request: Q, call: F) -> Result<A, Status>
where
    C: Clone,
    Q: Clone,
    F: Fn(C, Q) -> Fut,
    Fut: Future<Output = Result<Response<A>, Status>>,
{
    let answer = grpc::retry(|| call(client.clone(), request.clone())).await?;
    Ok(answer.into_inner())
}

async fn place_together(
    mut client: OrderServiceClient<ClientChannel>,
    orders: Vec<NewOrder>,
) -> Vec<Result<CreatedOrder, Status>> {
    let expected = orders.len();
    let span = tracing::info_span!(parent: None, "place orders", shop.orders = expected);
    trace::set_batch_parent(&span, orders.iter().filter_map(|order| order.trace.as_ref()));
    let answer = client.create_orders(CreateOrdersRequest { orders });
    match answer.instrument(span).await {
        Ok(answer) => {
            let mut results: Vec<_> = answer.into_inner().results.into_iter().map(outcome).collect();
            results.resize_with(expected, || Err(Status::internal("an order has no result")));
            results
        }
        Err(refused) => vec![Err(refused); expected],
    }
}

fn outcome(result: CreateOrderResult) -> Result<CreatedOrder, Status> {
    match result.outcome {
        Some(Outcome::Created(created)) => Ok(created),
        Some(Outcome::Refused(refused)) => Err(status::from_pb(&refused)),
        None => Err(Status::new(Code::Internal, "an order has no result")),
    }
}
