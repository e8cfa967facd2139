//! A server that has as many calls at work as it may.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chassis::{
    DefaultAddrs, Running, Service,
    config::ServiceArgs,
    grpc::{
        ClientChannel,
        status::{reason, retry_delay},
    },
    telemetry,
};
use proto::producer::{
    PublishEventsRequest, PublishEventsResponse,
    producer_service_client::ProducerServiceClient,
    producer_service_server::{ProducerService, ProducerServiceServer},
};
use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };
const MOST: usize = 3;

/// Answers as many calls as it is let.
#[derive(Clone)]
struct Slow {
    begun: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

#[tonic::async_trait]
impl ProducerService for Slow {
    async fn publish_events(
        &self,
        _: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.go.acquire().await.unwrap().forget();
        Ok(Response::new(PublishEventsResponse::default()))
    }
}

impl Slow {
    async fn until_begun(&self, calls: usize) {
        let what = format!("{calls} calls have begun");
        fixtures::until(&what, || self.begun.load(Ordering::SeqCst) >= calls).await;
    }
}

async fn call(client: &ProducerServiceClient<ClientChannel>) -> Result<(), Status> {
    let answer = client
        .clone()
        .publish_events(PublishEventsRequest::default())
        .await;
    answer.map(drop)
}

/// The value of that metric, as it is scraped.
async fn metric(running: &Running, name: &str) -> String {
    let page = fixtures::get(format!("http://{}/metrics", running.admin_addr()))
        .await
        .unwrap();
    let lines = page.text().await.unwrap();
    let line = lines.lines().find(|line| line.starts_with(&format!("{name}{{")));
    line.unwrap_or_default().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once_and_the_health_is_still_told() {
    let _telemetry = telemetry::init("slow", &ServiceArgs::loopback()).unwrap();
    let slow = Slow {
        begun: Arc::default(),
        go: Arc::new(Semaphore::new(0)),
    };
    let args = ServiceArgs {
        max_concurrent_calls: u16::try_from(MOST).unwrap(),
        ..ServiceArgs::loopback()
    };
    let service = Service::bind("slow", &args, PORTS).await.unwrap();
    let running = service.serve_grpc(tonic::service::Routes::new(ProducerServiceServer::new(
        slow.clone(),
    )));
    let url = format!("http://{}", running.addr());
    let client = ProducerServiceClient::new(ClientChannel::new("slow", url.parse().unwrap(), None).unwrap());

    let mut at_work = Vec::new();
    for calls in 1..=MOST {
        let client = client.clone();
        at_work.push(tokio::spawn(async move { call(&client).await }));
        slow.until_begun(calls).await;
    }
    // Whoever hangs up gives no place back: the work goes on.
    at_work.pop().unwrap().abort();
    tokio::time::sleep(Duration::from_millis(100)).await;

    let asked = Instant::now();
    let refused = call(&client).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused).as_deref(), Some("OVERLOADED"));
    assert_eq!(retry_delay(&refused), Some(Duration::from_secs(1)));
    // A limit of a connection's own would not know of this one.
    let other = ProducerServiceClient::new(ClientChannel::new("slow", url.parse().unwrap(), None).unwrap());
    assert_eq!(call(&other).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(slow.begun.load(Ordering::SeqCst), MOST);
    assert_eq!(metric(&running, "shop_rpc_server_refused_calls_total").await, "2");
    assert_eq!(
        metric(&running, "shop_rpc_server_active_calls").await,
        MOST.to_string()
    );
    let mut health = HealthClient::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap());
    let told = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(told.into_inner().status(), ServingStatus::Serving);

    slow.go.add_permits(MOST + 1);
    for answered in at_work {
        answered.await.unwrap().unwrap();
    }
    while metric(&running, "shop_rpc_server_active_calls").await != "0" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    call(&client).await.unwrap();
    running.stop().await.unwrap();
}
