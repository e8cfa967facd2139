//! consumer-service works off the events of orders: it takes the stock of what was ordered, gives back the stock of
//! what was cancelled, and tells order-service how each order came out.
//!
//! It takes messages from RabbitMQ in batches ([`consumer`]), makes sense of each ([`message`]), decides what is to be
//! asked of whom ([`processing`]) and asks ([`backends`]): one gRPC call carries a whole batch, for as long as the other
//! side is not well, and is halved where an item of it is at fault ([`bisection`]).
//! A message is acknowledged when inventory-service has committed and order-service has recorded. A message that can
//! never succeed goes to the dead letters, alone; [`dead_letters`] lists them and puts them back, for a person at a terminal
//! and, over gRPC ([`grpc`]), for an admin. Nothing is stored
//! here: every step may be repeated, because the ledger of inventory-service knows what it has done.

pub mod backends;
pub mod bisection;
mod config;
pub mod consumer;
pub mod dead_letters;
pub mod delivery;
pub mod depth;
pub mod grpc;
pub mod message;
pub mod processing;
pub mod telemetry;
pub mod topology;

use chassis::{DefaultAddrs, Running, Service, StartError, Starting};
pub use config::{Command, Config, IntakeArgs};
use proto::consumer::consumer_service_server::ConsumerServiceServer;

/// The service's ports.
pub const DEFAULT_ADDRS: DefaultAddrs = DefaultAddrs {
    listen: 50053,
    admin: 9053,
};

/// Starts the service. Until the broker is reached, readiness says so.
pub fn start(config: Config) -> Starting {
    Box::pin(begin(config))
}

async fn begin(config: Config) -> Result<Running, StartError> {
    let service = Service::bind("consumer-service", &config.service, DEFAULT_ADDRS)
        .await?
        .tls(&config.tls)?;
    let backends = backends::Backends::new(
        service.grpc_channel("inventory-service", &config.inventory_service_url)?,
        service.grpc_channel("order-service", &config.order_service_url)?,
    );
    let depth = depth::Depth::default();
    let queue = grpc::Queue::new(depth.clone(), config.amqp.clone());
    let consumer = consumer::Consumer::new(backends, config.intake, config.service.shutdown_grace, depth);
    let broker = service.health().flag("rabbitmq");
    service.spawn("consumer", |shutdown| consumer.run(config.amqp, broker, shutdown));
    let routes = tonic::service::Routes::new(ConsumerServiceServer::new(queue));
    Ok(service.serve_grpc(routes))
}
