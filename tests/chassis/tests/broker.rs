//! A broker that has fallen silent, by dropped packets or behind open connections. Times are printed.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod relay;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use chassis::{
    amqp::{self, AmqpError, Connections},
    config::AmqpArgs,
    health::Health,
};
use fixtures::Broker;
use relay::Relay;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

/// The promise is 5 s; a machine that does other things as well may take longer.
const FOUND: Duration = Duration::from_secs(8);
/// The promise is 2 s.
const BACK: Duration = Duration::from_secs(6);

/// A broker behind a name, and connections to it.
struct Setup {
    broker: Broker,
    addr: SocketAddr,
    name: Relay,
    connections: Connections,
}

impl Setup {
    async fn new() -> Self {
        let broker = Broker::create().await;
        let mut url = Url::parse(broker.amqp_url()).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let mut addrs = tokio::net::lookup_host((host, url.port().unwrap_or(5672)))
            .await
            .unwrap();
        let addr = addrs.find(SocketAddr::is_ipv4).unwrap();
        let name = Relay::to(addr).await;
        url.set_ip_host(name.addr().ip()).unwrap();
        url.set_port(Some(name.addr().port())).unwrap();
        let ready = Health::default().flag("broker");
        let connections = Connections::new(
            AmqpArgs::from_url(url.as_str()),
            "test",
            ready,
            CancellationToken::new(),
        );
        Self {
            broker,
            addr,
            name,
            connections,
        }
    }

    /// Waits until the connection is found to be lost, and for the next one.
    async fn lose(mut self, how: &str, connection: lapin::Connection) {
        let begin = Instant::now();
        let error = amqp::lost(&connection).await;
        let found = begin.elapsed();
        // To the peer it is a farewell, which must not take long either.
        let _ = amqp::close(&connection).await;
        self.connections.ended(Err(error));
        let next = self.connections.next().await.unwrap();
        let back = begin.elapsed();
        println!("{how}: found after {found:?}, connected again after {back:?}");
        next.create_channel().await.unwrap();
        assert!(found < FOUND, "{found:?}");
        assert!(back < FOUND + BACK, "{back:?}");
        self.broker.drop().await;
    }
}

#[tokio::test]
async fn a_broker_whose_packets_are_dropped_is_found() {
    let mut setup = Setup::new().await;
    let connection = setup.connections.next().await.unwrap();
    let Some(_cut) = setup.name.cut() else {
        eprintln!("SKIPPED: packets can be dropped by root only, and with iptables");
        return;
    };
    setup.lose("packets dropped", connection).await;
}

#[tokio::test]
async fn a_broker_that_is_not_heard_any_more_is_found() {
    let mut setup = Setup::new().await;
    let connection = setup.connections.next().await.unwrap();
    setup.name.hush();
    setup.lose("not heard", connection).await;
}

#[tokio::test]
async fn a_broker_that_answers_is_not_lost() {
    let mut setup = Setup::new().await;
    let connection = setup.connections.next().await.unwrap();
    let lost = tokio::time::timeout(Duration::from_secs(5), amqp::lost(&connection)).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(connection.configuration().heartbeat(), 5);
    amqp::close(&connection).await.unwrap();
    setup.broker.drop().await;
}

/// Somebody listens under the name and says nothing, until the broker is back.
#[tokio::test]
async fn a_silent_start_is_given_up_and_tried_again() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut setup = Setup::new().await;
    setup.name.move_to(silent.local_addr().unwrap());
    let begin = Instant::now();
    let (name, addr) = (&setup.name, setup.addr);
    let moves = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        name.move_to(addr);
    };
    let (connection, ()) = tokio::join!(setup.connections.next(), moves);
    let back = begin.elapsed();
    println!("silent at first: connected after {back:?}");
    assert!(back < BACK, "{back:?}");
    let outcome: Result<(), AmqpError> = amqp::close(&connection.unwrap()).await;
    outcome.unwrap();
    setup.broker.drop().await;
}
