//! Asking again. One layer does, the one nearest to the person who asked (api-gateway); were it done at each hop, three
//! tries would become nine, just when there is too much to do. And only what may be sent twice is ([`repeatable`]).
//!
//! - **Retry.** An attempt that found nobody (UNAVAILABLE) is followed by another, elsewhere if there is an elsewhere. One
//!   that was refused for load, or was late, is followed by another elsewhere or by none.
//! - **Hedge.** An attempt that has no answer after [`HEDGE_AFTER`] is joined by another at a replica that was not asked
//!   yet. The first good answer counts, and who was waited for in vain counts as late.
//! - **Deadline.** As long as there is another replica to ask, an attempt has half of the time that is left.
//! - **Budget.** Both are paid from one budget for each service called: a tenth of its calls, and [`FLOOR`] a second.
//!
//! After <https://github.com/grpc/proposal/blob/master/A6-client-retries.md>.

use std::{sync::LazyLock, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use opentelemetry::{KeyValue, metrics::Counter};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::retry::budget::{Budget as _, TpsBudget};

use super::{attempt, resolve::Peers, status::retry_delay};
use crate::telemetry::meter;

/// The most attempts of one call.
const MAX_ATTEMPTS: usize = 3;
/// So long an answer is waited for before another replica is asked too. Reads take milliseconds, the slowest searches a
/// tenth of a second: in a shop that is well hardly any takes as long.
const HEDGE_AFTER: Duration = Duration::from_millis(250);
/// Before a retry, in milliseconds, at random.
const PAUSE: std::ops::RangeInclusive<u64> = 25..=50;
/// For so long what was called and what was repeated is remembered.
const WINDOW: Duration = Duration::from_secs(10);
/// Repeats a second that are free, so that a lone call can be repeated: [`WINDOW`] times as many at once.
const FLOOR: u32 = 1;
/// Repeats for each call.
const SHARE: f32 = 0.1;

/// Marks a request in its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeatable;

/// A request that may be sent more than once, because it changes nothing or because what it changes is the same the
/// second time. Use it where a person waits for the answer, and nowhere behind that: see [the module](self).
pub fn repeatable<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Repeatable);
    request
}

/// What the calls of one service may be repeated by.
pub(super) fn budget() -> TpsBudget {
    TpsBudget::new(WINDOW, FLOOR, SHARE)
}

/// Whether there is a point in asking again after an outcome.
enum Again {
    /// The outcome is the answer.
    No,
    /// Only another replica.
    Elsewhere,
    /// Whoever is there.
    Anywhere,
}

/// Makes as many attempts as it takes, and as there may be.
pub(super) async fn send(
    peers: &Peers,
    budget: &TpsBudget,
    request: Request<Body>,
    deadline: Instant,
) -> Result<Response<Body>, Status> {
    budget.deposit();
    let (head, message) = request.into_parts();
    let message = message.collect().await?.to_bytes();
    let mut next = Some(attempt::first(peers, deadline).await?);
    let mut asked = Vec::with_capacity(1);
    // Those asked that have not answered, in order.
    let mut silent = Vec::with_capacity(1);
    let mut attempts = FuturesUnordered::new();
    let mut hedge_at = None;
    loop {
        if let Some(replica) = next.take() {
            asked.push(replica.socket);
            silent.push(replica.socket);
            let now = Instant::now();
            hedge_at = (asked.len() < MAX_ATTEMPTS).then_some(now + HEDGE_AFTER);
            let until = if asked.len() < MAX_ATTEMPTS.min(peers.count()) {
                now + deadline.saturating_duration_since(now) / 2
            } else {
                deadline
            };
            let request = Request::from_parts(head.clone(), Body::new(Full::new(message.clone())));
            attempts.push(async move {
                let socket = replica.socket;
                (socket, attempt::at(peers, replica, request, until).await)
            });
        }
        let ended = match hedge_at {
            Some(at) => timeout_at(at, attempts.next()).await,
            None => Ok(attempts.next().await),
        };
        let Ok(Some((socket, outcome))) = ended else {
            hedge_at = None;
            next = peers.pick_other(&asked).filter(|_| budget.withdraw());
            if next.is_some() {
                count("hedge");
            }
            continue;
        };
        let place = silent.iter().position(|silent| *silent == socket).unwrap_or(0);
        silent.remove(place);
        let again = again(&outcome);
        if let Again::No = again {
            for slower in silent.iter().take(place) {
                peers.late(*slower);
            }
            return outcome;
        }
        if !silent.is_empty() {
            continue;
        }
        let pause = Duration::from_millis(rand::random_range(PAUSE));
        if asked.len() == MAX_ATTEMPTS || Instant::now() + pause >= deadline {
            return outcome;
        }
        let replica = match (peers.pick_other(&asked), again) {
            (None, Again::Anywhere) => peers.pick().await,
            (other, _) => other,
        };
        next = replica.filter(|_| budget.withdraw());
        if next.is_none() {
            return outcome;
        }
        count("retry");
        sleep(pause).await;
    }
}

fn again(outcome: &Result<Response<Body>, Status>) -> Again {
    let told = match outcome {
        Ok(response) => Status::from_header_map(response.headers()),
        Err(status) => Some(status.clone()),
    };
    match told {
        Some(status) if status.code() == Code::DeadlineExceeded => Again::Elsewhere,
        Some(status) if status.code() == Code::Unavailable && retry_delay(&status).is_some() => {
            Again::Elsewhere
        }
        Some(status) if status.code() == Code::Unavailable => Again::Anywhere,
        _ => Again::No,
    }
}

static REPEATS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("shop.rpc.client.repeats")
        .with_description("Attempts of calls beyond the first")
        .with_unit("{attempt}")
        .build()
});

fn count(why: &'static str) {
    REPEATS.add(1, &[KeyValue::new("why", why)]);
}
