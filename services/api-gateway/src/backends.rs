//! The services behind the gateway.

use std::future::Future;

use chassis::{
    grpc::{self, AdaptiveLimit, ClientChannel, multiplex::Multiplexer, status},
    telemetry::trace,
};
use futures::future::try_join_all;
use proto::{
    audit::{ListAuditRecordsRequest, ListAuditRecordsResponse, audit_service_client::AuditServiceClient},
    inventory::inventory_service_client::InventoryServiceClient,
    limits,
    multiplex::PlaceOrders,
    order::{
        CreateOrdersRequest, CreatedOrder, NewOrder, create_order_result::Outcome,
        order_service_client::OrderServiceClient,
    },
    user::user_service_client::UserServiceClient,
};
use tonic::{Code, Request, Response, Status};

/// Clients of each service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Accounts and sessions.
    pub users: UserServiceClient<ClientChannel>,
    /// Products and stock.
    pub inventory: InventoryServiceClient<ClientChannel>,
    /// Orders.
    pub orders: OrderServiceClient<ClientChannel>,
    /// Of each that keeps records.
    audits: [AuditServiceClient<ClientChannel>; 3],
    placing: Multiplexer<PlaceOrders>,
    limits: Limits,
}

/// How many calls may be at work with each.
#[derive(Clone, Debug)]
struct Limits {
    users: AdaptiveLimit,
    inventory: AdaptiveLimit,
    orders: AdaptiveLimit,
}

impl Backends {
    /// With at most `most_calls` at work with each of them. Must be called within a tokio runtime.
    pub fn new(
        users: ClientChannel,
        inventory: ClientChannel,
        orders: ClientChannel,
        most_calls: usize,
    ) -> Self {
        let limits = Limits {
            users: AdaptiveLimit::new("user-service", most_calls),
            inventory: AdaptiveLimit::new("inventory-service", most_calls),
            orders: AdaptiveLimit::new("order-service", most_calls),
        };
        let users = users.limited(limits.users.clone());
        let inventory = inventory.limited(limits.inventory.clone());
        let orders = orders.limited(limits.orders.clone());
        let audits = [&users, &inventory, &orders];
        Self {
            limits,
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
            Some(Asked::All) => {
                let limits = [&self.limits.users, &self.limits.inventory, &self.limits.orders];
                limits.into_iter().any(AdaptiveLimit::is_full)
            }
            None => false,
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

/// The service that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// user-service.
    Users,
    /// inventory-service.
    Inventory,
    /// order-service.
    Orders,
    /// Each of these.
    All,
}

/// Which service a request to that path asks; none where the gateway answers by itself.
pub(crate) fn asked_by(path: &str) -> Option<Asked> {
    match path.split('/').nth(1)? {
        "auth" | "users" => Some(Asked::Users),
        "products" | "categories" => Some(Asked::Inventory),
        "orders" => Some(Asked::Orders),
        "audit" => Some(Asked::All),
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
