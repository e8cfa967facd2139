//! producer-service publishes events to RabbitMQ for services that want to know each event's fate.
//!
//! One gRPC call carries a batch ([`proto::producer`]). [`event`] checks each event and writes its CloudEvents
//! envelope; [`publisher`] sends the batch down one confirm channel without waiting in between, then gathers what the
//! broker says of each message; [`grpc`] turns that into one result per event; [`telemetry`] has the span and the
//! metrics of a message. The connection is supervised: while it is down or the broker blocks publishers, calls are
//! refused with UNAVAILABLE at once and readiness says so. Nothing is stored here, so nothing can be lost here: who
//! calls keeps its events until this service says that they are published.

mod config;
pub mod event;
pub mod grpc;
pub mod publisher;
pub mod telemetry;

use chassis::{DefaultAddrs, Running, Service, StartError, Starting};
pub use config::Config;
use proto::producer::producer_service_server::ProducerServiceServer;

/// The service's ports.
pub const DEFAULT_ADDRS: DefaultAddrs = DefaultAddrs {
    listen: 50054,
    admin: 9054,
};

/// The largest request: 1,000 events, each an order of 100 lines, are about 10 MiB.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Starts the service. It serves at once; calls are refused with UNAVAILABLE until the broker is reached.
pub fn start(config: Config) -> Starting {
    Box::pin(begin(config))
}

async fn begin(config: Config) -> Result<Running, StartError> {
    let service = Service::bind("producer-service", &config.service, DEFAULT_ADDRS)
        .await?
        .tls(&config.tls)?;
    let (publisher, supervisor) = publisher::publisher(config.publish_concurrency.into());
    let broker = service.health().flag("rabbitmq");
    service.spawn("publisher", |shutdown| {
        supervisor.run(config.amqp, broker, shutdown)
    });
    let grpc = ProducerServiceServer::new(grpc::Producer::new(publisher))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    Ok(service.serve_grpc(tonic::service::Routes::new(grpc)))
}
