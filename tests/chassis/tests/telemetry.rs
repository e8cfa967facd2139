//! What a stranger can't do to the metrics: real calls, and the page that Prometheus reads.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use chassis::{
    DefaultAddrs, Running, Service,
    config::ServiceArgs,
    grpc::ClientChannel,
    telemetry::{self, MAX_SERIES},
};
use futures::{StreamExt as _, stream};
use opentelemetry::KeyValue;
use proto::producer::{
    PublishEventsRequest, PublishEventsResponse,
    producer_service_client::ProducerServiceClient,
    producer_service_server::{ProducerService, ProducerServiceServer},
};
use tonic::{Code, Request, Response, Status, codegen::http::uri::PathAndQuery};

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };
const MADE_UP: usize = 2_000;

struct Idle;

#[tonic::async_trait]
impl ProducerService for Idle {
    async fn publish_events(
        &self,
        _: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        Ok(Response::new(PublishEventsResponse::default()))
    }
}

/// Calls a method, whether or not there is one.
async fn call(channel: ClientChannel, method: String) -> Code {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path: PathAndQuery = method.parse().unwrap();
    let codec = tonic_prost::ProstCodec::<PublishEventsRequest, PublishEventsResponse>::default();
    let answer = client
        .unary(Request::new(PublishEventsRequest::default()), path, codec)
        .await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The lines of that metric, as they are scraped.
async fn series(running: &Running, metric: &str) -> Vec<String> {
    let page = fixtures::get(format!("http://{}/metrics", running.admin_addr()))
        .await
        .unwrap();
    let lines = page.text().await.unwrap();
    let prefix = format!("{metric}{{");
    lines
        .lines()
        .filter(|line| line.starts_with(&prefix))
        .map(str::to_owned)
        .collect()
}

// One test: a process has one set of metrics.
#[tokio::test]
async fn labels_are_bounded_whatever_strangers_call() {
    let _telemetry = telemetry::init("idle", &ServiceArgs::loopback()).unwrap();
    let service = Service::bind("idle", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let running = service.serve_grpc(tonic::service::Routes::new(ProducerServiceServer::new(Idle)));
    let url = format!("http://{}", running.addr()).parse().unwrap();
    let channel = ClientChannel::new("idle", url, None).unwrap();

    let made_up = (0..MADE_UP).map(|number| call(channel.clone(), format!("/shop.made.up/Method{number}")));
    let codes: Vec<Code> = stream::iter(made_up).buffer_unordered(50).collect().await;
    assert_eq!(codes, [Code::Unimplemented; MADE_UP]);
    ProducerServiceClient::new(channel)
        .publish_events(PublishEventsRequest::default())
        .await
        .unwrap();
    for side in ["client", "server"] {
        let series = series(&running, &format!("rpc_{side}_call_duration_seconds_count")).await;
        let of = |method: &str, count: usize| {
            series
                .iter()
                .filter(|line| line.contains(method) && line.ends_with(&format!(" {count}")))
                .count()
        };
        assert_eq!(series.len(), 2, "one for all that is made up: {series:?}");
        assert_eq!(of(r#""_OTHER""#, MADE_UP), 1, "{series:?}");
        assert_eq!(of("ProducerService/PublishEvents", 1), 1, "{series:?}");
    }

    let careless = telemetry::meter().u64_counter("careless").build();
    for number in 0..MAX_SERIES * 3 {
        careless.add(1, &[KeyValue::new("anything", number.to_string())]);
    }
    let series = series(&running, "careless_total").await;
    assert_eq!(series.len(), MAX_SERIES + 1);
    let rest = series.iter().find(|line| line.contains("otel_metric_overflow"));
    assert!(
        rest.is_some_and(|line| line.ends_with(&format!(" {}", MAX_SERIES * 2))),
        "{rest:?}"
    );
    running.stop().await.unwrap();
}
