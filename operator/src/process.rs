//! The process: a client of the API server, health and metrics, and a leader that works.

use chassis::{DefaultAddrs, Running, Service, StartError, Starting};
use kube::{Client, Config, client::ClientBuilder};
use opentelemetry::KeyValue;
use std::time::Duration;
use tower::util::MapRequestLayer;

use crate::{config::RunArgs, controller, leader};

/// Where it answers for its health and metrics.
const ADMIN_PORT: u16 = 9050;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts to work, or to wait for its turn to.
pub fn start(args: RunArgs) -> Starting {
    Box::pin(begin(args))
}

async fn begin(args: RunArgs) -> Result<Running, StartError> {
    // Nobody calls it, so that it listens anywhere.
    let addrs = DefaultAddrs {
        listen: 0,
        admin: ADMIN_PORT,
    };
    let service = Service::bind("shop-operator", &args.service, addrs).await?;
    let client = client().await?;
    let flag = service.health().flag("lease");
    service.spawn("controller", |shutdown| async move {
        let work = |client, shutdown| controller::run(client, &args, shutdown);
        if let Err(error) = leader::lead(client.clone(), &args, &flag, shutdown, work).await {
            tracing::error!(%error, "no lease can be had");
        }
    });
    Ok(service.serve_admin_only())
}

async fn client() -> Result<Client, StartError> {
    let mut config = Config::infer().await.map_err(StartError::other)?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let requests = controller::metrics::api_requests();
    let count = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        requests.add(
            1,
            &[KeyValue::new("method", request.method().as_str().to_owned())],
        );
        request
    });
    let builder = ClientBuilder::try_from(config).map_err(StartError::other)?;
    Ok(builder.with_layer(&count).build())
}
