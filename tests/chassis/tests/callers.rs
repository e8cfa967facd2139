//! Who may call what, over real mutual TLS: every method of the contracts, called by every service, and by who is none.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[allow(dead_code, reason = "what other tests of certificates need")]
mod certificates;

use certificates::{Authority, HOST, serve};
use chassis::{
    Running,
    config::ServiceArgs,
    grpc::{ClientChannel, status::reason},
    telemetry,
    tls::{TlsArgs, spiffe_id},
};
use proto::callers::{Caller, METHODS};
use tonic::{Code, Request, Status, codegen::http::uri::PathAndQuery};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

fn channel(server: &Running, tls: &TlsArgs) -> ClientChannel {
    let tls = tls.read().unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{HOST}:{}", server.addr().port());
    ClientChannel::new("server", url.parse().unwrap(), tls.as_ref()).unwrap()
}

async fn call(channel: &ClientChannel, path: &str) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path: PathAndQuery = path.parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.unary(Request::new(()), path, codec).await.unwrap_err()
}

fn assert_refused(answer: &Status, who: &str, path: &str) {
    assert_eq!(
        answer.code(),
        Code::PermissionDenied,
        "{who} calls {path}: {answer}"
    );
    assert_eq!(reason(answer).as_deref(), Some("CALLER_NOT_ALLOWED"));
}

fn assert_let_in(answer: &Status, who: &str, path: &str) {
    assert_eq!(answer.code(), Code::Unimplemented, "{who} calls {path}: {answer}");
}

async fn refused_calls(server: &Running) -> usize {
    sum_of(server, "shop_security_refused_calls_total{").await
}

/// What a metric adds up to over its series that begin so.
async fn sum_of(server: &Running, beginning: &str) -> usize {
    let page = fixtures::get(format!("http://{}/metrics", server.admin_addr()))
        .await
        .unwrap();
    let lines = page.text().await.unwrap();
    let counts = lines.lines().filter(|line| line.starts_with(beginning));
    counts
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

// One test: a process has one set of metrics.
#[tokio::test]
async fn every_method_is_for_the_services_of_its_line_and_for_no_others() {
    let _telemetry = telemetry::init("server", &ServiceArgs::loopback()).unwrap();
    let authority = Authority::new("a shop");
    let server = serve(&authority.issue(HOST).args).await;
    let mut refused = 0;
    for caller in Caller::ALL {
        // As of today, and as the operator before wrote certificates.
        let today = authority.issue_to(Some(&spiffe_id(caller.name())), HOST);
        let before = authority.issue(&format!("demo-{caller}.default.svc"));
        for (files, who) in [(today, "today's"), (before, "the previous")] {
            let channel = channel(&server, &files.args);
            for (path, allowed) in METHODS {
                let answer = call(&channel, path).await;
                let who = format!("{who} {caller}");
                if allowed.contains(&caller) {
                    assert_let_in(&answer, &who, path);
                } else {
                    assert_refused(&answer, &who, path);
                    refused += 1;
                }
            }
        }
    }
    // The authority's, but of no service.
    for (uri, host) in [
        (None, HOST),
        (
            Some("spiffe://shop/shop-operator"),
            "demo-api-gateway.default.svc",
        ),
        (Some("spiffe://other/api-gateway"), HOST),
    ] {
        let files = authority.issue_to(uri, host);
        let channel = channel(&server, &files.args);
        for (path, _) in METHODS {
            assert_refused(&call(&channel, path).await, "nobody", path);
            refused += 1;
        }
        // Its health it tells whoever has a certificate; what is none of ours nobody is kept from asking for.
        let mut health = HealthClient::new(channel.clone());
        health.check(HealthCheckRequest::default()).await.unwrap();
        let made_up = "/shop.order.v1.OrderService/ShipOrder";
        assert_let_in(&call(&channel, made_up).await, "nobody", made_up);
    }
    assert_eq!(refused_calls(&server).await, refused);
    let event = "shop_security_events_total{event_name=\"security.call.refused\"";
    assert_eq!(sum_of(&server, event).await, refused);
    server.stop().await.unwrap();

    // Without certificates nobody can say who calls.
    let plain = serve(&TlsArgs::default()).await;
    let channel = channel(&plain, &TlsArgs::default());
    for (path, _) in METHODS {
        assert_let_in(&call(&channel, path).await, "anybody", path);
    }
    plain.stop().await.unwrap();
}
