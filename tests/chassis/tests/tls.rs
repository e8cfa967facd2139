//! Mutual TLS between programs, over real sockets: who is answered and who is not. What is called is the standard
//! health service, which every server of the chassis has.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod certificates;

use certificates::{Authority, HOST, serve};
use chassis::{Running, grpc::ClientChannel, tls::TlsArgs};
use rcgen::KeyPair;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Calls the server as a program with these files does.
async fn call(scheme: &str, host: &str, server: &Running, tls: &TlsArgs) -> Result<(), Status> {
    let url = format!("{scheme}://{host}:{}", server.addr().port())
        .parse()
        .unwrap();
    let channel = ClientChannel::new("server", url, tls.read().unwrap().as_ref()).unwrap();
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    answer.map(drop)
}

fn assert_unavailable(answer: Result<(), Status>) {
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn programs_of_one_authority_call_each_other() {
    let authority = Authority::new("a shop");
    let server = serve(&authority.issue(HOST).args).await;
    let caller = authority.issue("caller");
    call("https", HOST, &server, &caller.args).await.unwrap();
    server.stop().await.unwrap();
}

/// An authority is renewed while programs run that were started before: some have its old certificate, some the new.
#[tokio::test]
async fn a_renewed_authority_of_the_same_key_is_the_same_authority() {
    let authority = Authority::new("a shop");
    let (before, server) = (
        authority.issue("caller"),
        serve(&authority.issue(HOST).args).await,
    );
    let after = authority.issue("caller");
    let read = |files: &certificates::Files| std::fs::read(files.folder.path().join("ca.crt")).unwrap();
    assert_ne!(read(&before), read(&after), "its certificates are not the same");
    for caller in [before, after] {
        call("https", HOST, &server, &caller.args).await.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_without_a_certificate_of_the_authority_is_not_answered() {
    let authority = Authority::new("a shop");
    let server = serve(&authority.issue(HOST).args).await;
    assert_unavailable(call("http", HOST, &server, &TlsArgs::default()).await);

    // Another authority's certificate; the caller itself believes the server.
    let stranger = Authority::new("a shop").issue("caller");
    std::fs::write(stranger.folder.path().join("ca.crt"), authority.certificate()).unwrap();
    assert_unavailable(call("https", HOST, &server, &stranger.args).await);

    // And it goes on answering those that have one.
    call("https", HOST, &server, &authority.issue("caller").args)
        .await
        .unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_somebody_else_is_not_called() {
    let authority = Authority::new("a shop");
    let caller = authority.issue("caller");
    let elsewhere = serve(&authority.issue("elsewhere").args).await;
    assert_unavailable(call("https", HOST, &elsewhere, &caller.args).await);
    elsewhere.stop().await.unwrap();

    let stranger = serve(&Authority::new("a shop").issue(HOST).args).await;
    assert_unavailable(call("https", HOST, &stranger, &caller.args).await);
    stranger.stop().await.unwrap();

    let plain = serve(&TlsArgs::default()).await;
    assert_unavailable(call("https", HOST, &plain, &caller.args).await);
    call("http", HOST, &plain, &caller.args).await.unwrap();
    plain.stop().await.unwrap();
}

#[tokio::test]
async fn files_that_make_no_sense_are_said_at_start() {
    let authority = Authority::new("a shop");
    assert!(TlsArgs::default().read().unwrap().is_none());

    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let refusal = authority.issue(HOST).with_key(&other_key).refusal();
    assert!(
        refusal.contains("TLS_KEY_FILE") && refusal.contains("KeyMismatch"),
        "{refusal}"
    );
    assert!(!refusal.contains(other_key.lines().nth(1).unwrap()), "{refusal}");

    let refusal = authority.issue(HOST).with_key("no key").refusal();
    assert!(refusal.contains("TLS_KEY_FILE"), "{refusal}");
    let refusal = authority.issue(HOST).with_key("").refusal();
    assert!(
        refusal.contains("TLS_KEY_FILE") && refusal.contains("is empty"),
        "{refusal}"
    );

    let files = authority.issue(HOST);
    std::fs::write(files.folder.path().join("ca.crt"), "no certificate").unwrap();
    assert!(files.refusal().contains("TLS_CA_FILE"), "{}", files.refusal());
    std::fs::remove_file(files.folder.path().join("tls.crt")).unwrap();
    assert!(
        files.refusal().contains("TLS_CERT_FILE: cannot read"),
        "{}",
        files.refusal()
    );

    let url = "https://localhost:1".parse().unwrap();
    let refusal = ClientChannel::new("server", url, None).unwrap_err().to_string();
    assert!(
        refusal.contains("https://localhost:1") && refusal.contains("TLS_CERT_FILE"),
        "{refusal}"
    );
}
