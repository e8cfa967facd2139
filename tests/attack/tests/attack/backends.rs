//! What stands behind the gateway, on the same machine.

use std::time::Duration;

use anyhow::ensure;
use attack::{Target, raw};
use lapin::{Connection, ConnectionProperties};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

/// The ports of those that answer gRPC.
const SERVICES: [u16; 4] = [50_051, 50_052, 50_054, 50_055];

/// Whoever has no certificate of the shop's gets no word of gRPC out of a service.
pub(super) async fn services_behind_the_gateway(target: Target) -> anyhow::Result<()> {
    for port in SERVICES {
        let address = (target.gateway.ip(), port + target.port_offset).into();
        let mut connection = raw::connect(target.new_address(), address).await?;
        // The preface of HTTP/2 with an empty SETTINGS frame, in clear.
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        connection.write_all(preface).await?;
        let mut answer = [0; 64];
        let read = timeout(Duration::from_secs(5), connection.read(&mut answer)).await;
        let length = read.map_or(0, Result::unwrap_or_default);
        // An alert of TLS at most.
        ensure!(
            length == 0 || answer[0] == 21,
            "port {port} speaks HTTP/2 in clear: {:?}",
            answer.get(..length)
        );
    }
    Ok(())
}

/// Connections to all of them that say nothing, or begin a handshake and leave it there: more than there are places.
pub(super) async fn connections_behind_the_gateway(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let addresses: Vec<_> = (0..8).map(|_| target.new_address()).collect();
    let mut held = Vec::new();
    for number in 0..1_200 {
        for port in SERVICES {
            let address = (target.gateway.ip(), port + target.port_offset).into();
            let from = addresses[number % addresses.len()];
            let mut connection = raw::connect(from, address).await?;
            if number % 2 == 0 {
                // It may be ended for another already.
                let _sent = connection.write_all(b"\x16\x03\x01\x02\x00\x01").await;
            }
            held.push(connection);
        }
        if number % 400 == 399 {
            target.serves_others(&product).await?;
        }
    }
    // Where a caller has to connect anew, there is room too.
    sleep(Duration::from_secs(1)).await;
    target.serves_others(&product).await
}

/// The broker's well-known account is nobody's.
pub(super) async fn the_broker(target: Target) -> anyhow::Result<()> {
    let port = 5672 + target.port_offset;
    for account in ["guest:guest", "admin:admin", "producer-service:producer-service"] {
        let url = format!("amqp://{account}@127.0.0.1:{port}/");
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        let connected = timeout(Duration::from_secs(10), connecting).await;
        ensure!(!matches!(connected, Ok(Ok(_))), "{account} is let in");
    }
    Ok(())
}
