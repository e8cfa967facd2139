//! order-service: orders from the moment they are placed, and the events of everything that happens to them.
//!
//! Start with the contract, `shop/order/v1/order.proto` in the `proto` crate, and with [`order`], the rules: what an
//! order may be and which changes it allows. Every change is one transaction with its event ([`events`]), which the
//! `outbox` crate publishes; what people change is recorded for the audit ([`audited`]). [`chassis::idempotency`] makes
//! placing an order repeatable, [`watch`] tells whoever waits for an order's status. [`store`] is all SQL, one transaction
//! per method; [`grpc`] translates between the contract and the rest.
//!
//! The hot path is [`grpc`]'s creation of orders: each is checked and priced by itself, and those that are ready at the
//! same time share one transaction ([`group_commit`]). How many a customer may have open is counted in memory
//! ([`admission`], by the rule in [`open_orders`]).

pub mod admission;
pub mod audited;
pub mod config;
pub mod events;
pub mod group_commit;
pub mod grpc;
pub mod open_orders;
pub mod order;
pub mod store;
pub mod watch;

use chassis::{DefaultAddrs, Running, Service, StartError, Starting, idempotency};
use proto::{event::ORDER_SOURCE, order::order_service_server::OrderServiceServer};

pub use config::Config;

/// The service's own ports.
pub const DEFAULT_ADDRS: DefaultAddrs = DefaultAddrs {
    listen: 50051,
    admin: 9051,
};

/// Starts the service; it answers once this returns.
pub fn start(config: Config) -> Starting {
    Box::pin(begin(config))
}

async fn begin(config: Config) -> Result<Running, StartError> {
    let mut service = Service::bind("order-service", &config.service, DEFAULT_ADDRS)
        .await?
        .tls(&config.tls)?;
    let database = service
        .postgres(
            &config.postgres,
            [store::migrations(), outbox::migrations(), audit::migrations()],
        )
        .await?;
    let inventory = service.grpc_channel("inventory-service", &config.inventory_service_url)?;
    let producer = service.grpc_channel("producer-service", &config.producer_service_url)?;

    let outbox = outbox::start(&service, database.clone(), producer, ORDER_SOURCE, &config.relay);
    let store = store::Store::new(database.clone(), outbox);
    let watchers = watch::Watchers::default();
    service.spawn("status-watch", {
        let (watchers, store) = (watchers.clone(), store.clone());
        |shutdown| watch::follow(watchers, store, shutdown)
    });
    service.spawn("housekeeping", {
        let (database, retention) = (database.clone(), config.idempotency_retention);
        move |shutdown| idempotency::table::remove_old_keys(database, retention, shutdown)
    });
    let orders = grpc::Orders::new(store, inventory, watchers, config.max_open_orders);
    let server = OrderServiceServer::new(orders).max_decoding_message_size(proto::limits::OUTCOMES_REQUEST);
    let routes = tonic::service::Routes::new(server)
        .add_service(audit::service(database.clone()))
        .add_service(outbox::service(database));
    Ok(service.serve_grpc(routes))
}
