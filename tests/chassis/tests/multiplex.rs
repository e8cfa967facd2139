//! Many calls over one stream, on real sockets. The server does what the first product id says.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use chassis::{
    DefaultAddrs, Running, Service,
    config::ServiceArgs,
    grpc::{
        ClientChannel, MAX_MESSAGE_SIZE,
        multiplex::{self, Answers, Multiplexer},
        status,
    },
};
use futures::future::{BoxFuture, join_all};
use proto::{
    inventory::{GetPricesRequest, GetPricesResponse, ProductPrice, QuotePricesRequest, QuotePricesResponse},
    multiplex::QuotePrices,
};
use tokio::{net::TcpListener, sync::watch};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    server::{Grpc, NamedService, StreamingService},
};
use tonic_prost::ProstCodec;

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

#[derive(Clone)]
struct Quoting {
    begun: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
}

impl Default for Quoting {
    fn default() -> Self {
        Self {
            begun: Arc::default(),
            open: watch::Sender::new(false),
        }
    }
}

impl Quoting {
    async fn quote(self, wanted: GetPricesRequest) -> Result<GetPricesResponse, Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let id = wanted.product_ids.into_iter().next().unwrap_or_default();
        match id.as_str() {
            "wait" => drop(self.open.subscribe().wait_for(|open| *open).await.unwrap()),
            "panic" => panic!("on demand"),
            "refuse" => return Err(status::invalid_field("product_ids", "refused on demand")),
            // Longer than a few calls take, so that a server that stops has some under way.
            "slow" => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => {}
        }
        let name = if id == "large" {
            "x".repeat(MAX_MESSAGE_SIZE)
        } else {
            id
        };
        let price = ProductPrice {
            name,
            ..ProductPrice::default()
        };
        Ok(GetPricesResponse { prices: vec![price] })
    }
}

impl StreamingService<QuotePricesRequest> for Quoting {
    type Response = QuotePricesResponse;
    type ResponseStream = Answers<QuotePrices>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, requests: Request<Streaming<QuotePricesRequest>>) -> Self::Future {
        let quoting = self.clone();
        Box::pin(async move {
            multiplex::serve::<QuotePrices, _, _>(requests.into_inner(), move |wanted| {
                quoting.clone().quote(wanted)
            })
        })
    }
}

/// The service that the method is of, with that method alone.
#[derive(Clone)]
struct Inventory(Quoting);

impl NamedService for Inventory {
    const NAME: &'static str = "shop.inventory.v1.InventoryService";
}

impl tower::Service<http::Request<Body>> for Inventory {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let quoting = self.0.clone();
        Box::pin(async move {
            let codec = ProstCodec::<QuotePricesResponse, QuotePricesRequest>::default();
            Ok(Grpc::new(codec).streaming(quoting, request).await)
        })
    }
}

async fn serve_at(quoting: &Quoting, addr: SocketAddr) -> Running {
    let args = ServiceArgs {
        listen_addr: Some(addr),
        ..ServiceArgs::loopback()
    };
    let service = Service::bind("quoting", &args, PORTS).await.unwrap();
    service.serve_grpc(tonic::service::Routes::new(Inventory(quoting.clone())))
}

async fn serve(quoting: &Quoting) -> Running {
    serve_at(quoting, ([127, 0, 0, 1], 0).into()).await
}

fn calling(addresses: Vec<SocketAddr>) -> Multiplexer<QuotePrices> {
    let url = "http://quoting:1".parse().unwrap();
    Multiplexer::new(ClientChannel::fixed("quoting", url, addresses))
}

fn wanted(id: &str) -> GetPricesRequest {
    GetPricesRequest {
        product_ids: vec![id.to_owned()],
    }
}

async fn quote(calls: &Multiplexer<QuotePrices>, id: &str) -> Result<String, Status> {
    let older = async |_| Err(Status::unimplemented("as before"));
    let answer = calls.call(wanted(id), older).await?;
    Ok(answer.prices.into_iter().next().unwrap().name)
}

#[tokio::test]
async fn each_call_is_answered_by_itself() {
    let quoting = Quoting::default();
    let running = serve(&quoting).await;
    let calls = calling(vec![running.addr()]);
    let waiting = {
        let calls = calls.clone();
        tokio::spawn(async move { quote(&calls, "wait").await })
    };
    fixtures::until("the call has begun", || quoting.begun.load(Ordering::SeqCst) == 1).await;
    let too_large = "y".repeat(MAX_MESSAGE_SIZE);
    let ids: Vec<String> = (0..200)
        .map(|number| match number % 10 {
            3 => "panic".to_owned(),
            5 => "refuse".to_owned(),
            7 if number < 20 => "large".to_owned(),
            9 if number < 20 => too_large.clone(),
            _ => number.to_string(),
        })
        .collect();
    let outcomes = join_all(ids.iter().map(|id| quote(&calls, id))).await;
    for (id, outcome) in ids.iter().zip(outcomes) {
        match (id.as_str(), outcome) {
            ("panic" | "large", Err(status)) => assert_eq!(status.code(), Code::Internal),
            ("refuse", Err(refused)) => {
                assert_eq!(refused.code(), Code::InvalidArgument);
                assert!(!refused.details().is_empty());
            }
            (_, Err(status)) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                assert_eq!(*id, too_large);
            }
            (_, Ok(answer)) => assert_eq!(answer, *id),
        }
    }
    assert!(!waiting.is_finished(), "it waits, and nobody waited for it");
    quoting.open.send_replace(true);
    assert_eq!(waiting.await.unwrap().unwrap(), "wait");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stops_answers_what_it_has_and_others_are_called() {
    let (first, second) = (Quoting::default(), Quoting::default());
    let stays = serve(&first).await;
    let stops = serve(&second).await;
    let calls = calling(vec![stays.addr(), stops.addr()]);
    let over = Arc::new(AtomicBool::new(false));
    let callers = (0..16).map(|_| {
        let (calls, over) = (calls.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut answered = 0;
            while !over.load(Ordering::SeqCst) {
                quote(&calls, "slow").await.expect("no call fails");
                answered += 1;
            }
            answered
        })
    });
    let callers: Vec<_> = callers.collect();
    fixtures::until("both are called", || {
        first.begun.load(Ordering::SeqCst) > 50 && second.begun.load(Ordering::SeqCst) > 50
    })
    .await;
    let stopped = Instant::now();
    stops.stop().await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(2), "no caller keeps it");
    let begun = first.begun.load(Ordering::SeqCst);
    fixtures::until("the other one goes on", || {
        first.begun.load(Ordering::SeqCst) > begun + 50
    })
    .await;
    over.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    assert_eq!(
        answered,
        first.begun.load(Ordering::SeqCst) + second.begun.load(Ordering::SeqCst),
        "each call was begun once"
    );
    drop(calls);
    stays.stop().await.unwrap();
}

#[tokio::test]
async fn a_replica_that_is_down_is_passed_over_and_called_when_it_is_up_again() {
    let quoting = Quoting::default();
    let stays = serve(&quoting).await;
    let gone = TcpListener::bind(("127.0.0.2", stays.addr().port()))
        .await
        .unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let calls = calling(vec![stays.addr(), address]);
    for _ in 0..20 {
        quote(&calls, "here").await.unwrap();
    }
    let lonely = calling(vec![address]);
    let refused = quote(&lonely, "there").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(status::reason(&refused).as_deref(), Some("PEER_UNAVAILABLE"));
    let back = serve_at(&quoting, address).await;
    let mut answer = quote(&lonely, "there").await;
    for _ in 0..50 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = quote(&lonely, "there").await;
    }
    assert_eq!(answer.unwrap(), "there");
    back.stop().await.unwrap();
    stays.stop().await.unwrap();
}

#[tokio::test]
async fn a_replica_that_hangs_is_late_and_then_passed_over() {
    let quoting = Quoting::default();
    let running = serve(&quoting).await;
    // The kernel completes the handshake; nobody ever accepts, and no packet is answered.
    let hung = TcpListener::bind(("127.0.0.2", running.addr().port()))
        .await
        .unwrap();
    let calls = calling(vec![running.addr(), hung.local_addr().unwrap()]);
    let together = join_all((0..20).map(|_| quote(&calls, "here"))).await;
    let failed = together.iter().filter(|answer| answer.is_err()).count();
    assert!((1..=10).contains(&failed), "{failed} went to it");
    let after = join_all((0..100).map(|_| quote(&calls, "here"))).await;
    let failed = after.iter().filter(|answer| answer.is_err()).count();
    assert!(failed <= 1, "{failed} of 100: one may try whether it is back");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_replica_of_a_version_that_does_not_know_the_method_says_so() {
    let service = Service::bind("older", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let older = service.serve_grpc(tonic::service::Routes::default());
    let calls = calling(vec![older.addr()]);
    for answer in join_all((0..20).map(|_| quote(&calls, "any"))).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
    older.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_what_it_began_to_its_end() {
    let quoting = Quoting::default();
    let running = serve(&quoting).await;
    {
        let calls = calling(vec![running.addr()]);
        let call = tokio::spawn(async move { quote(&calls, "wait").await });
        fixtures::until("the call has begun", || quoting.begun.load(Ordering::SeqCst) == 1).await;
        call.abort();
    }
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!stopping.is_finished(), "the server waits for it");
    quoting.open.send_replace(true);
    stopping.await.unwrap().unwrap();
}
