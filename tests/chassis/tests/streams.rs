//! Streams end when their server stops, of whatever service they are.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use chassis::{DefaultAddrs, Service, config::ServiceArgs};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::test]
async fn whoever_watches_the_health_does_not_hold_up_the_stop() {
    let ports = DefaultAddrs { listen: 0, admin: 0 };
    let service = Service::bind("watched", &ServiceArgs::loopback(), ports)
        .await
        .unwrap();
    let running = service.serve_grpc(tonic::service::Routes::default());
    let endpoint = Endpoint::from_shared(format!("http://{}", running.addr())).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let watching = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut statuses = watching.into_inner();
    assert!(statuses.message().await.unwrap().is_some());
    let began = Instant::now();
    running.stop().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // It may be told NOT_SERVING before.
    let end = loop {
        match statuses.message().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
}
