//! One attempt of a call at one replica, and what its outcome says of the replica.

use std::net::SocketAddr;

use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::Service as _;

use super::{
    call::write_timeout,
    resolve::{Peer, Peers},
    status::{retry_delay, with_reason},
};

/// The replica whose turn it is.
pub(super) async fn first(peers: &Peers, deadline: Instant) -> Result<Peer, Status> {
    match timeout_at(deadline, peers.pick()).await {
        Ok(Some(replica)) => Ok(replica),
        Ok(None) => Err(unavailable(peers)),
        Err(_) => Err(late(peers)),
    }
}

/// The replica's answer. It is told how long there is.
pub(super) async fn at(
    peers: &Peers,
    mut replica: Peer,
    mut request: Request<Body>,
    deadline: Instant,
) -> Result<Response<Body>, Status> {
    write_timeout(
        request.headers_mut(),
        deadline.saturating_duration_since(Instant::now()),
    );
    let answer = async {
        std::future::poll_fn(|context| replica.channel.poll_ready(context)).await?;
        replica.channel.call(request).await
    };
    match timeout_at(deadline, answer).await {
        Ok(Ok(response)) => {
            let refused = Status::from_header_map(response.headers());
            heard_from(peers, replica.socket, refused.as_ref());
            Ok(response)
        }
        Ok(Err(error)) if !is_late(&error) => {
            peers.broke(replica.socket);
            let (peer, address) = (peers.name, replica.socket);
            tracing::debug!(peer, %address, error = &error as &dyn std::error::Error, "a call failed");
            Err(unavailable(peers))
        }
        Ok(Err(_)) | Err(_) => {
            peers.late(replica.socket);
            Err(late(peers))
        }
    }
}

/// Notes what an answer, of which only a refusal is looked at, says of the replica.
pub(super) fn heard_from(peers: &Peers, replica: SocketAddr, refused: Option<&Status>) {
    match refused {
        // The server's own clock may strike first.
        Some(status) if status.code() == Code::DeadlineExceeded => peers.late(replica),
        // It does not say whether the calls that it is full of get anywhere.
        Some(status) if retry_delay(status).is_some() => {}
        _ => peers.answered(replica),
    }
}

/// Whether tonic's own clock, which it sets by the `grpc-timeout` header, has struck before ours. Once, that says
/// nothing of the address.
fn is_late(error: &tonic::transport::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.any(<dyn std::error::Error>::is::<tonic::TimeoutExpired>)
}

/// What is answered where nobody else does in time.
pub(super) fn late(peers: &Peers) -> Status {
    Status::new(
        Code::DeadlineExceeded,
        format!("{} did not answer in time", peers.name),
    )
}

/// What is answered where nobody can be asked.
pub(super) fn unavailable(peers: &Peers) -> Status {
    with_reason(
        Code::Unavailable,
        "PEER_UNAVAILABLE",
        format!("{} is not available", peers.name),
    )
}
