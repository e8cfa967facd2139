//! inventory-service: products, their stock and the ledger of every movement of it.
//!
//! Start with the contract, `shop/inventory/v1/inventory.proto` in the `proto` crate. [`product`], [`stock`] and
//! [`search`] hold the rules and know neither gRPC nor SQL: which products there may be, who gets stock, what a list
//! shows. [`store`] is all SQL, one transaction per method; the tables and what they promise are explained in
//! `migrations/`. Every change is one transaction with its events ([`events`]), which the `outbox` crate publishes; what
//! people change is recorded for the audit ([`audited`]). [`grpc`] translates between the contract and the rest.
//!
//! The hot path is allocation: one call carries the orders that came together, and is one transaction that locks the
//! rows of their products once, in one global order, decides in memory, and writes everything in one statement. Prices
//! that are asked for at the same time are read together ([`group_read`]).

pub mod audited;
pub mod config;
pub mod events;
pub mod group_read;
pub mod grpc;
pub mod product;
pub mod search;
pub mod stock;
pub mod store;

use chassis::{DefaultAddrs, Running, Service, StartError, Starting, idempotency};
use proto::{event::INVENTORY_SOURCE, inventory::inventory_service_server::InventoryServiceServer};

pub use config::Config;

/// The service's own ports.
pub const DEFAULT_ADDRS: DefaultAddrs = DefaultAddrs {
    listen: 50055,
    admin: 9055,
};

/// Starts the service; it answers once this returns.
pub fn start(config: Config) -> Starting {
    Box::pin(begin(config))
}

async fn begin(config: Config) -> Result<Running, StartError> {
    let mut service = Service::bind("inventory-service", &config.service, DEFAULT_ADDRS)
        .await?
        .tls(&config.tls)?;
    let database = service
        .postgres(
            &config.postgres,
            [store::migrations(), outbox::migrations(), audit::migrations()],
        )
        .await?;
    let producer = service.grpc_channel("producer-service", &config.producer_service_url)?;
    let outbox = outbox::start(
        &service,
        database.clone(),
        producer,
        INVENTORY_SOURCE,
        &config.relay,
    );
    service.spawn("housekeeping", {
        let (database, retention) = (database.clone(), config.idempotency_retention);
        move |shutdown| idempotency::table::remove_old_keys(database, retention, shutdown)
    });
    let inventory = grpc::Inventory::new(store::Store::new(
        database.clone(),
        config.postgres.database_max_connections,
        outbox,
        config.emit_stock_changed,
    ));
    let inventory =
        InventoryServiceServer::new(inventory).max_decoding_message_size(proto::limits::ALLOCATE_REQUEST);
    let routes = tonic::service::Routes::new(inventory)
        .add_service(audit::service(database.clone()))
        .add_service(outbox::service(database));
    Ok(service.serve_grpc(routes))
}
