//! What a call carries besides its message, over real sockets. The service called is a small one that waits on demand.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::{
    DefaultAddrs, Running, Service,
    config::ServiceArgs,
    grpc::{ClientChannel, repeatable, status},
};
use proto::producer::{
    Event, PublishEventsRequest, PublishEventsResponse,
    producer_service_client::ProducerServiceClient,
    producer_service_server::{ProducerService, ProducerServiceServer},
};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status};

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

/// Does what the first event's type says, and counts.
#[derive(Clone, Default)]
struct Waiter {
    begun: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
    go: Arc<Notify>,
    next: Option<ProducerServiceClient<ClientChannel>>,
}

#[tonic::async_trait]
impl ProducerService for Waiter {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let events = request.into_inner().events;
        self.begun.fetch_add(1, Ordering::SeqCst);
        match events.first().map_or("", |event| event.r#type.as_str()) {
            "wait" => self.go.notified().await,
            "forward" => {
                let waits = PublishEventsRequest {
                    events: vec![event("wait")],
                };
                self.next
                    .clone()
                    .expect("a next hop")
                    .publish_events(waits)
                    .await?;
            }
            "panic" => panic!("on demand"),
            "refuse" => return Err(status::invalid_field("events", "refused on demand")),
            _ => {}
        }
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(PublishEventsResponse::default()))
    }
}

fn event(kind: &str) -> Event {
    Event {
        r#type: kind.to_owned(),
        ..Event::default()
    }
}

fn asking(kind: &str, timeout: Option<Duration>) -> Request<PublishEventsRequest> {
    let mut request = Request::new(PublishEventsRequest {
        events: vec![event(kind)],
    });
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    request
}

async fn serve(waiter: &Waiter) -> Running {
    let service = Service::bind("waiter", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    service.serve_grpc(tonic::service::Routes::new(ProducerServiceServer::new(
        waiter.clone(),
    )))
}

fn client(port: u16) -> ProducerServiceClient<ClientChannel> {
    let url = format!("http://127.0.0.1:{port}").parse().unwrap();
    ProducerServiceClient::new(ClientChannel::new("waiter", url, None).unwrap())
}

#[tokio::test]
async fn a_peer_that_is_down_is_unavailable_and_found_again_when_it_is_up() {
    let waiter = Waiter::default();
    let running = serve(&waiter).await;
    let port = running.addr().port();
    let mut client = client(port);
    client.publish_events(asking("go", None)).await.unwrap();
    running.stop().await.unwrap();

    let refused = client.publish_events(asking("go", None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(status::reason(&refused).as_deref(), Some("PEER_UNAVAILABLE"));

    let args = ServiceArgs {
        listen_addr: Some(([127, 0, 0, 1], port).into()),
        ..ServiceArgs::loopback()
    };
    let service = Service::bind("waiter", &args, PORTS).await.unwrap();
    let again = service.serve_grpc(tonic::service::Routes::new(ProducerServiceServer::new(waiter)));
    let asking = repeatable(asking("go", None).into_inner());
    client.publish_events(asking).await.unwrap();
    again.stop().await.unwrap();
}

#[tokio::test]
async fn refusals_keep_their_details_and_a_panic_is_internal() {
    let running = serve(&Waiter::default()).await;
    let mut client = client(running.addr().port());
    let refused = client.publish_events(asking("refuse", None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = tonic_types::StatusExt::get_details_bad_request(&refused)
        .unwrap()
        .field_violations;
    assert_eq!(violations.first().unwrap().field, "events");

    assert_eq!(
        client
            .publish_events(asking("panic", None))
            .await
            .unwrap_err()
            .code(),
        Code::Internal
    );
    client.publish_events(asking("go", None)).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_cancel_the_work() {
    let waiter = Waiter::default();
    let running = serve(&waiter).await;
    let mut client = client(running.addr().port());
    let call = tokio::spawn(async move { client.publish_events(asking("wait", None)).await });
    fixtures::until("the call has begun", || waiter.begun.load(Ordering::SeqCst) == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    waiter.go.notify_one();
    fixtures::until("the work is finished all the same", || {
        waiter.finished.load(Ordering::SeqCst) == 1
    })
    .await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_as_such() {
    // A peer that takes connections and says nothing: whose clock of the caller's strikes first is chance.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(silent.local_addr().unwrap().port());
    let calls = (5..105).map(|milliseconds| {
        let mut client = client.clone();
        async move {
            let asking = asking("wait", Some(Duration::from_millis(milliseconds)));
            client.publish_events(asking).await.unwrap_err().code()
        }
    });
    let codes = futures::future::join_all(calls).await;
    assert_eq!(codes, [Code::DeadlineExceeded; 100]);
}

#[tokio::test]
async fn a_deadline_holds_over_two_hops() {
    let last = Waiter::default();
    let last_running = serve(&last).await;
    let first = Waiter {
        next: Some(client(last_running.addr().port())),
        ..Waiter::default()
    };
    let first_running = serve(&first).await;
    let mut client = client(first_running.addr().port());

    let late = client
        .publish_events(asking("forward", Some(Duration::from_millis(300))))
        .await
        .unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    // The first hop's own call got what was left of 300 ms and not the default of seconds: it is over as well.
    let service_is_idle = first_running.stop();
    tokio::time::timeout(Duration::from_secs(2), service_is_idle)
        .await
        .expect("nothing is in flight")
        .unwrap();
    assert_eq!(
        (
            first.begun.load(Ordering::SeqCst),
            first.finished.load(Ordering::SeqCst)
        ),
        (1, 0)
    );
    last.go.notify_one();
    last_running.stop().await.unwrap();
}

#[tokio::test]
async fn stopping_waits_for_calls_in_flight() {
    let waiter = Waiter::default();
    let running = serve(&waiter).await;
    let mut client = client(running.addr().port());
    let call = tokio::spawn(async move { client.publish_events(asking("wait", None)).await });
    fixtures::until("the call has begun", || waiter.begun.load(Ordering::SeqCst) == 1).await;
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_finished());
    waiter.go.notify_one();
    call.await.unwrap().unwrap();
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_part_that_ends_by_itself_stops_the_service() {
    let service = Service::bind("waiter", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    service.spawn("relay", |_| async { panic!("on demand") });
    let running = service.serve_admin_only();
    assert_eq!(running.failed().await, "relay panicked");
    assert_eq!(running.stop().await.unwrap_err().to_string(), "relay panicked");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap();
    let args = ServiceArgs {
        listen_addr: Some(addr),
        ..ServiceArgs::loopback()
    };
    let error = Service::bind("waiter", &args, PORTS)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {addr} (LISTEN_ADDR)")),
        "{error}"
    );
}

#[tokio::test]
async fn a_replica_that_hangs_is_passed_over_after_a_few_calls() {
    let running = serve(&Waiter::default()).await;
    let port = running.addr().port();
    // The kernel completes the handshake; nobody ever accepts, and no packet is answered.
    let hung = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    let addresses = vec![running.addr(), hung.local_addr().unwrap()];
    let url = format!("http://waiter:{port}").parse().unwrap();
    let mut client = ProducerServiceClient::new(ClientChannel::fixed("waiter", url, addresses));
    let mut late = 0;
    for _ in 0..200 {
        let call = asking("go", Some(Duration::from_millis(250)));
        late += usize::from(client.publish_events(call).await.is_err());
    }
    assert!((1..=4).contains(&late), "{late} of 200 calls were late");
    running.stop().await.unwrap();
}
