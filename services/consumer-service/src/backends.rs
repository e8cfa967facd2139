//! The services that are asked.
//!
//! A back end that is down is nobody's fault: the batch is held, here, and asked for again with growing pauses until
//! there is an answer. The deliveries stay with this consumer meanwhile; giving them back would only spin them through
//! the broker and use up the delivery limit of healthy messages. What tells that from an item at fault is in
//! [`bisection`](crate::bisection).

use std::{future::Future, sync::Arc, time::Duration};

use chassis::grpc::ClientChannel;
use proto::{
    inventory::{
        AllocateStockRequest, ReleaseStockRequest, StockAllocation, StockAllocationResult, StockRelease,
        StockReleaseResult, inventory_service_client::InventoryServiceClient,
    },
    order::{
        OrderOutcome, RecordOutcomeResult, RecordOutcomesRequest, order_service_client::OrderServiceClient,
    },
    trace::TraceContext,
};
use tonic::{Code, Request, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    bisection::{Answers, Control, Limits, Question, Traced},
    processing::Item,
};

/// How long a back end may take to say how it is.
const HEALTH_DEADLINE: Duration = Duration::from_secs(1);

/// The services that are asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backends {
    inventory: InventoryServiceClient<ClientChannel>,
    inventory_health: HealthClient<ClientChannel>,
    orders: OrderServiceClient<ClientChannel>,
    orders_health: HealthClient<ClientChannel>,
    limits: Limits,
    controls: Arc<Controls>,
}

/// What each call answered last.
#[derive(Debug, Default)]
struct Controls {
    allocation: Control<StockAllocation>,
    release: Control<StockRelease>,
    outcome: Control<OrderOutcome>,
}

impl Backends {
    /// Asks over these channels.
    pub fn new(inventory: ClientChannel, orders: ClientChannel) -> Self {
        Self {
            inventory: InventoryServiceClient::new(inventory.clone())
                .max_decoding_message_size(proto::limits::ALLOCATE_ANSWER),
            inventory_health: HealthClient::new(inventory),
            orders: OrderServiceClient::new(orders.clone()),
            orders_health: HealthClient::new(orders),
            limits: Limits::default(),
            controls: Arc::default(),
        }
    }

    /// Has the stock of orders allocated.
    pub async fn allocate(&self, items: &[Item<StockAllocation>]) -> Answers<StockAllocationResult> {
        let call = |allocations, deadline| {
            let mut client = self.inventory.clone();
            async move {
                let request = within(deadline, AllocateStockRequest { allocations });
                Ok(client.allocate_stock(request).await?.into_inner().results)
            }
        };
        let (control, health) = (&self.controls.allocation, &self.inventory_health);
        self.ask("allocate stock", control, health, items, call).await
    }

    /// Has the stock of orders given back.
    pub async fn release(&self, items: &[Item<StockRelease>]) -> Answers<StockReleaseResult> {
        let call = |releases, deadline| {
            let mut client = self.inventory.clone();
            async move {
                let request = within(deadline, ReleaseStockRequest { releases });
                Ok(client.release_stock(request).await?.into_inner().results)
            }
        };
        let (control, health) = (&self.controls.release, &self.inventory_health);
        self.ask("release stock", control, health, items, call).await
    }

    /// Has the outcomes of orders recorded.
    pub async fn record(&self, items: &[Item<OrderOutcome>]) -> Answers<RecordOutcomeResult> {
        let call = |outcomes, deadline| {
            let mut client = self.orders.clone();
            async move {
                let request = within(deadline, RecordOutcomesRequest { outcomes });
                Ok(client.record_outcomes(request).await?.into_inner().results)
            }
        };
        let (control, health) = (&self.controls.outcome, &self.orders_health);
        self.ask("record outcomes", control, health, items, call).await
    }

    async fn ask<T, R, F, Fut>(
        &self,
        what: &'static str,
        control: &Control<T>,
        health: &HealthClient<ClientChannel>,
        items: &[Item<T>],
        call: F,
    ) -> Answers<R>
    where
        T: Traced,
        F: Fn(Vec<T>, Duration) -> Fut,
        Fut: Future<Output = Result<Vec<R>, Status>>,
    {
        let question = Question {
            what,
            limits: &self.limits,
            control,
            call,
            is_well: || is_well(health.clone()),
        };
        question.ask(items).await
    }
}

fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Whether the back end says, by gRPC's own health service, that it can do its work.
async fn is_well(mut health: HealthClient<ClientChannel>) -> bool {
    match health
        .check(within(HEALTH_DEADLINE, HealthCheckRequest::default()))
        .await
    {
        Ok(answer) => answer.get_ref().status() == ServingStatus::Serving,
        // Whoever has no such service is there at least.
        Err(status) => status.code() == Code::Unimplemented,
    }
}

macro_rules! traced {
    ($($request:ty),+) => {$(
        impl Traced for $request {
            fn trace(&self) -> Option<&TraceContext> {
                self.trace.as_ref()
            }

            fn untraced(self) -> Self {
                Self { trace: None, ..self }
            }
        }
    )+};
}

traced!(StockAllocation, StockRelease, OrderOutcome);
