//! Which calls are sent again, how often, and to whom: real servers, of which some fail or hang.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chassis::{
    DefaultAddrs, Running, Service,
    config::ServiceArgs,
    grpc::{ClientChannel, repeatable, status::overloaded},
};
use futures::{StreamExt as _, future, stream};
use proto::producer::{
    PublishEventsRequest, PublishEventsResponse,
    producer_service_client::ProducerServiceClient,
    producer_service_server::{ProducerService, ProducerServiceServer},
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status};

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

#[derive(Clone, Copy)]
enum Manner {
    Well,
    /// Fails the first so many calls.
    Unavailable(usize),
    Full,
    /// Takes calls, and never answers.
    Hung,
}

/// Counts its calls.
#[derive(Clone)]
struct Replica {
    manner: Manner,
    calls: Arc<AtomicUsize>,
}

impl Replica {
    fn new(manner: Manner) -> Self {
        Self {
            manner,
            calls: Arc::default(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn serve(&self, addr: SocketAddr) -> Running {
        let args = ServiceArgs {
            listen_addr: Some(addr),
            // Calls that hang are not waited for.
            shutdown_grace: Duration::ZERO,
            ..ServiceArgs::loopback()
        };
        let service = Service::bind("replica", &args, PORTS).await.unwrap();
        service.serve_grpc(tonic::service::Routes::new(ProducerServiceServer::new(
            self.clone(),
        )))
    }
}

#[tonic::async_trait]
impl ProducerService for Replica {
    async fn publish_events(
        &self,
        _: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let before = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.manner {
            Manner::Unavailable(times) if before < times => Err(Status::unavailable("not yet")),
            Manner::Full => Err(overloaded(Duration::from_secs(1))),
            Manner::Hung => future::pending().await,
            Manner::Well | Manner::Unavailable(_) => Ok(Response::new(PublishEventsResponse::default())),
        }
    }
}

/// Replicas on addresses of their own, and a client that goes round them.
struct Replicas {
    running: Vec<Running>,
    client: ProducerServiceClient<ClientChannel>,
}

impl Replicas {
    async fn serve<const N: usize>(replicas: [&Replica; N]) -> Self {
        let mut running: Vec<Running> = Vec::new();
        for (replica, last) in replicas.into_iter().zip(1..) {
            let port = running.first().map_or(0, |first| first.addr().port());
            running.push(replica.serve(([127, 0, 0, last], port).into()).await);
        }
        let addresses = running.iter().map(Running::addr).collect();
        Self {
            client: client(addresses),
            running,
        }
    }

    async fn stop(self) {
        for running in self.running {
            // Calls that hang never end.
            drop(running.stop().await);
        }
    }
}

fn client(addresses: Vec<SocketAddr>) -> ProducerServiceClient<ClientChannel> {
    let url = format!("http://replica:{}", addresses[0].port()).parse().unwrap();
    ProducerServiceClient::new(ClientChannel::fixed("replica", url, addresses))
}

/// Makes so many calls, a few at a time, and says how long the slowest took.
async fn read(client: &ProducerServiceClient<ClientChannel>, calls: usize) -> Duration {
    let call = |_| {
        let mut client = client.clone();
        async move {
            let began = Instant::now();
            let read = repeatable(PublishEventsRequest::default());
            client.publish_events(read).await.unwrap();
            began.elapsed()
        }
    };
    let times = stream::iter(0..calls).map(call).buffer_unordered(4);
    times
        .fold(Duration::ZERO, async |most, time| most.max(time))
        .await
}

/// Half of the time that a call has: what a reader waits who asks one replica after the other.
const ONE_AFTER_THE_OTHER: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn one_of_two_that_takes_calls_and_hangs_delays_few_and_fails_none() {
    let (well, hung) = (Replica::new(Manner::Well), Replica::new(Manner::Hung));
    let replicas = Replicas::serve([&well, &hung]).await;
    let slowest = read(&replicas.client, 50).await;
    assert!(slowest < ONE_AFTER_THE_OTHER, "{slowest:?}");
    assert_eq!(well.calls(), 50, "each was answered there, once");
    // Four begin together, and it rests as soon as two were waited for in vain.
    assert!((1..=8).contains(&hung.calls()), "{}", hung.calls());
    replicas.stop().await;
}

#[tokio::test]
async fn one_of_two_that_is_cut_off_delays_few_and_fails_none() {
    let well = Replica::new(Manner::Well);
    let running = well.serve(([127, 0, 0, 1], 0).into()).await;
    // The kernel completes the handshake; nobody ever accepts, and no packet is answered.
    let cut_off = TcpListener::bind(("127.0.0.2", running.addr().port()))
        .await
        .unwrap();
    let client = client(vec![running.addr(), cut_off.local_addr().unwrap()]);
    let slowest = read(&client, 50).await;
    assert!(slowest < ONE_AFTER_THE_OTHER, "{slowest:?}");
    assert_eq!(well.calls(), 50);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lone_call_is_sent_again_until_it_succeeds() {
    let replica = Replica::new(Manner::Unavailable(2));
    let replicas = Replicas::serve([&replica]).await;
    read(&replicas.client, 1).await;
    assert_eq!(replica.calls(), 3);
    replicas.stop().await;
}

#[tokio::test]
async fn where_all_fails_a_tenth_is_sent_again_and_no_more() {
    const CALLS: usize = 300;
    let replica = Replica::new(Manner::Unavailable(usize::MAX));
    let replicas = Replicas::serve([&replica]).await;
    for _ in 0..CALLS {
        let read = repeatable(PublishEventsRequest::default());
        let failed = replicas.client.clone().publish_events(read).await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
    }
    let repeats = replica.calls() - CALLS;
    assert!((10..=CALLS / 10 + 10).contains(&repeats), "{repeats}");
    replicas.stop().await;
}

#[tokio::test]
async fn what_changes_something_is_sent_once() {
    let (failing, hung) = (
        Replica::new(Manner::Unavailable(usize::MAX)),
        Replica::new(Manner::Hung),
    );
    let replicas = Replicas::serve([&failing, &hung]).await;
    for code in [Code::Unavailable, Code::DeadlineExceeded] {
        let mut write = Request::new(PublishEventsRequest::default());
        write.set_timeout(Duration::from_secs(1));
        let failed = replicas.client.clone().publish_events(write).await.unwrap_err();
        assert_eq!(failed.code(), code);
    }
    assert_eq!((failing.calls(), hung.calls()), (1, 1));
    replicas.stop().await;
}

#[tokio::test]
async fn who_is_full_is_not_asked_again_and_another_is() {
    let full = Replica::new(Manner::Full);
    let replicas = Replicas::serve([&full]).await;
    let read_once = repeatable(PublishEventsRequest::default());
    let refused = replicas
        .client
        .clone()
        .publish_events(read_once)
        .await
        .unwrap_err();
    assert_eq!((refused.code(), full.calls()), (Code::Unavailable, 1));
    replicas.stop().await;

    let well = Replica::new(Manner::Well);
    let replicas = Replicas::serve([&full, &well]).await;
    read(&replicas.client, 10).await;
    assert_eq!(well.calls(), 10);
    assert!(full.calls() > 1, "it was asked too");
    replicas.stop().await;
}
