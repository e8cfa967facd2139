//! The services behind the gateway.

use std::{future::Future, time::Duration};

use chassis::{
    grpc::{self, AdaptiveLimit, ClientChannel, multiplex::Multiplexer, status},
    telemetry::trace,
};
use futures::{
    future::{join_all, try_join_all},
    join,
};
use proto::{
    audit::{ListAuditRecordsRequest, ListAuditRecordsResponse, audit_service_client::AuditServiceClient},
    consumer::{GetQueueRequest, GetQueueResponse, consumer_service_client::ConsumerServiceClient},
    inventory::inventory_service_client::InventoryServiceClient,
    limits,
    multiplex::PlaceOrders,
    order::{
        CreateOrdersRequest, CreatedOrder, GetOrderFlowRequest, GetOrderFlowResponse, NewOrder,
        create_order_result::Outcome, order_service_client::OrderServiceClient,
    },
    outbox::{GetBacklogRequest, GetBacklogResponse, outbox_service_client::OutboxServiceClient},
    user::user_service_client::UserServiceClient,
};
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

/// A service that has not said by then what it has is done without.
const FLOW_TIMEOUT: Duration = Duration::from_secs(2);

/// Clients of each service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Accounts and sessions.
    pub users: UserServiceClient<ClientChannel>,
    /// Products and stock.
    pub inventory: InventoryServiceClient<ClientChannel>,
    /// Orders.
    pub orders: OrderServiceClient<ClientChannel>,
    /// The queue and the dead letters.
    pub consumer: ConsumerServiceClient<ClientChannel>,
    /// Of each that keeps records.
    audits: [AuditServiceClient<ClientChannel>; 3],
    measured: Measured,
    placing: Multiplexer<PlaceOrders>,
    limits: Limits,
}

/// Those that are asked what moves and what waits, outside of the bounds on calls at work: it is asked when these are reached.
#[derive(Clone, Debug)]
struct Measured {
    orders: OrderServiceClient<ClientChannel>,
    outboxes: [(&'static str, OutboxServiceClient<ClientChannel>); 3],
    consumer: ConsumerServiceClient<ClientChannel>,
}

/// What moves, and what waits; of each service that has answered in time.
#[derive(Debug)]
pub struct Flow {
    /// Orders.
    pub orders: Option<GetOrderFlowResponse>,
    /// By the service whose events they are.
    pub backlogs: Vec<(&'static str, GetBacklogResponse)>,
    /// The queue.
    pub queue: Option<GetQueueResponse>,
    /// Those that have not; one twice of which two things were asked.
    pub unavailable: Vec<&'static str>,
}

/// How many calls may be at work with each.
#[derive(Clone, Debug)]
struct Limits {
    users: AdaptiveLimit,
    inventory: AdaptiveLimit,
    orders: AdaptiveLimit,
    consumer: AdaptiveLimit,
}

impl Backends {
    /// With at most `most_calls` at work with each of them. Must be called within a tokio runtime.
    pub fn new(
        users: ClientChannel,
        inventory: ClientChannel,
        orders: ClientChannel,
        consumer: ClientChannel,
        most_calls: usize,
    ) -> Self {
        let limits = Limits {
            users: AdaptiveLimit::new("user-service", most_calls),
            inventory: AdaptiveLimit::new("inventory-service", most_calls),
            orders: AdaptiveLimit::new("order-service", most_calls),
            consumer: AdaptiveLimit::new("consumer-service", most_calls),
        };
        let measured = Measured::new(&users, &inventory, &orders, &consumer);
        let users = users.limited(limits.users.clone());
        let inventory = inventory.limited(limits.inventory.clone());
        let orders = orders.limited(limits.orders.clone());
        let consumer = consumer.limited(limits.consumer.clone());
        let audits = [&users, &inventory, &orders];
        Self {
            limits,
            measured,
            consumer: ConsumerServiceClient::new(consumer),
            audits: audits.map(|channel| AuditServiceClient::new(channel.clone())),
            users: UserServiceClient::new(users),
            inventory: InventoryServiceClient::new(inventory)
                .max_decoding_message_size(limits::PRODUCTS_PAGE),
            placing: Multiplexer::new(orders.clone()),
            orders: OrderServiceClient::new(orders).max_decoding_message_size(limits::ORDERS_PAGE),
        }
    }

    /// Whether a request to that path can't be served now, for the service that it would ask has as much to do as it can.
    pub fn are_full(&self, path: &str) -> bool {
        match asked_by(path) {
            Some(Asked::Users) => self.limits.users.is_full(),
            Some(Asked::Inventory) => self.limits.inventory.is_full(),
            Some(Asked::Orders) => self.limits.orders.is_full(),
            Some(Asked::Consumer) => self.limits.consumer.is_full(),
            Some(Asked::All) => {
                let limits = [&self.limits.users, &self.limits.inventory, &self.limits.orders];
                limits.into_iter().any(AdaptiveLimit::is_full)
            }
            Some(Asked::WhoeverAnswers) | None => false,
        }
    }

    /// Asks each service what moves and what waits there.
    pub async fn flow(&self) -> Flow {
        let Measured {
            orders,
            outboxes,
            consumer,
        } = &self.measured;
        let backlogs = outboxes.iter().map(|(service, outbox)| async move {
            let backlog = read(outbox, GetBacklogRequest {}, |mut outbox, request| async move {
                outbox.get_backlog(request).await
            });
            (*service, in_time(backlog).await)
        });
        let orders = read(orders, GetOrderFlowRequest {}, |mut orders, request| async move {
            orders.get_order_flow(request).await
        });
        let queue = read(consumer, GetQueueRequest {}, |mut consumer, request| async move {
            consumer.get_queue(request).await
        });
        let (orders, backlogs, queue) = join!(in_time(orders), join_all(backlogs), in_time(queue));
        let silent = backlogs.iter().filter(|(_, backlog)| backlog.is_none());
        let mut unavailable: Vec<_> = silent.map(|(service, _)| *service).collect();
        unavailable.extend(orders.is_none().then_some("order-service"));
        unavailable.extend(queue.is_none().then_some("consumer-service"));
        Flow {
            orders,
            backlogs: backlogs
                .into_iter()
                .filter_map(|(service, backlog)| Some((service, backlog?)))
                .collect(),
            queue,
            unavailable,
        }
    }

    /// Asks each service for its records: the answers of all, or none.
    pub async fn audit_records(
        &self,
        request: &ListAuditRecordsRequest,
    ) -> Result<Vec<ListAuditRecordsResponse>, Status> {
        let asked = self.audits.iter().map(|audit| {
            read(audit, request.clone(), |mut audit, request| async move {
                audit.list_audit_records(request).await
            })
        });
        try_join_all(asked).await.map_err(|status| match status.code() {
            Code::Unimplemented => {
                Status::unavailable("a service is still of the version before, which keeps no records")
            }
            _ => status,
        })
    }

    /// Places one order: nothing of it can touch another's.
    pub async fn place_order(&self, order: NewOrder) -> Result<CreatedOrder, Status> {
        self.placing
            .call(order, |order| self.place_in_a_batch_of_one(order))
            .await
    }

    /// As order-service had it before `PlaceOrders`.
    async fn place_in_a_batch_of_one(&self, mut order: NewOrder) -> Result<CreatedOrder, Status> {
        order.trace = Some(trace::current());
        let request = CreateOrdersRequest { orders: vec![order] };
        let mut answer = self.orders.clone().create_orders(request).await?.into_inner();
        match answer.results.pop().and_then(|result| result.outcome) {
            Some(Outcome::Created(created)) => Ok(created),
            Some(Outcome::Refused(refused)) => Err(status::from_pb(&refused)),
            None => Err(Status::internal("the order has no result")),
        }
    }
}

impl Measured {
    fn new(
        users: &ClientChannel,
        inventory: &ClientChannel,
        orders: &ClientChannel,
        consumer: &ClientChannel,
    ) -> Self {
        let outbox = |channel: &ClientChannel| OutboxServiceClient::new(channel.clone());
        Self {
            orders: OrderServiceClient::new(orders.clone()),
            outboxes: [
                ("order-service", outbox(orders)),
                ("inventory-service", outbox(inventory)),
                ("user-service", outbox(users)),
            ],
            consumer: ConsumerServiceClient::new(consumer.clone()),
        }
    }
}

/// What is answered in time; the log says why there is nothing.
async fn in_time<A>(answer: impl Future<Output = Result<A, Status>>) -> Option<A> {
    match timeout(FLOW_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(status)) => {
            tracing::debug!(%status, "a service can't say what moves there");
            None
        }
        Err(_) => None,
    }
}

/// The service that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// user-service.
    Users,
    /// inventory-service.
    Inventory,
    /// order-service.
    Orders,
    /// consumer-service.
    Consumer,
    /// Each that keeps records: users, inventory and orders.
    All,
    /// Each; who doesn't answer is done without.
    WhoeverAnswers,
}

/// Which service a request to that path asks; none where the gateway answers by itself.
pub(crate) fn asked_by(path: &str) -> Option<Asked> {
    match path.split('/').nth(1)? {
        "auth" | "users" => Some(Asked::Users),
        "products" | "categories" => Some(Asked::Inventory),
        "orders" => Some(Asked::Orders),
        "dead-letters" => Some(Asked::Consumer),
        "audit" => Some(Asked::All),
        "flow" => Some(Asked::WhoeverAnswers),
        _ => None,
    }
}

/// Makes a call that only reads: sent again, and to two replicas where the first is slow, within a budget. Nobody else
/// does: what changes something is asked for once.
pub async fn read<C, Q, A, F, Fut>(client: &C, message: Q, call: F) -> Result<A, Status>
where
    C: Clone,
    F: FnOnce(C, Request<Q>) -> Fut,
    Fut: Future<Output = Result<Response<A>, Status>>,
{
    let answer = call(client.clone(), grpc::repeatable(message)).await?;
    Ok(answer.into_inner())
}
