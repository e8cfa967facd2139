//! Who is let in, and how much: what a request must have before it is looked at, the caller's identity and rate, its
//! body, then a place among the requests at work and the time that each of them may take.

use std::panic::AssertUnwindSafe;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, Version, header, request::Parts, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;

use super::{
    Api,
    caller::{self, Identity},
    conditional, decode, idempotency,
    input::{self, Found},
    operations::{Operation, TakesBody},
    probes, telemetry,
};
use crate::problem::{FieldError, Problem};

/// The longest target of a request in bytes: RFC 9110, 4.1, asks for at least 8,000.
const LONGEST_TARGET: usize = 8 * 1024;

/// Refuses a request that is none (RFC 9112), and one whose path leads to a service that has as much to do as it can:
/// before anything is read of it or looked up for it, since a refusal that costs as much as an answer helps nobody. A
/// browser's request from another site needs headers that only the layers know ([`admit`] refuses it).
pub(super) fn refuse(api: &Api, head: &Parts) -> Option<Response> {
    if let Err(problem) = is_request(head) {
        return Some(telemetry::refuse(api, head, problem));
    }
    if head.headers.contains_key(header::ORIGIN) || !api.backends.are_full(head.uri.path()) {
        return None;
    }
    Some(telemetry::refuse(api, head, Problem::overloaded()))
}

/// RFC 9112, 3: the target is not too long, and there is one `Host`, which names a host.
fn is_request(head: &Parts) -> Result<(), Problem> {
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > LONGEST_TARGET {
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            "uri-too-long",
            format!("path and query may have at most {LONGEST_TARGET} bytes together"),
        ));
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let is_good = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_host),
        (Some(_), Some(_)) => false,
        (None, _) => head.version < Version::HTTP_11,
    };
    if is_good {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-host",
            "send one Host header, which names a host and no more than a port beside it",
        ))
    }
}

/// A host with or without a port: `uri-host [ ":" port ]` of RFC 9110, 7.2; an http URI without a host is none (4.2.1).
fn is_host(text: &str) -> bool {
    text.parse::<Authority>().is_ok_and(|authority| {
        let port = authority.as_str().strip_prefix(authority.host());
        !authority.host().is_empty()
            && port.is_some_and(|port| matches!(port, "" | ":") || authority.port_u16().is_some())
    })
}

/// Serves a request of a caller who may ask, once its body is there, within the time limit and the bound on requests at
/// work; a panic is this request's alone. A stream counts until it begins, and a probe not at all: it is answered when
/// nothing else is.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let served = AssertUnwindSafe(serve(&api, request, next)).catch_unwind();
    match served.await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_panic) => {
            tracing::error!("a handler panicked");
            Problem::internal().into_response()
        }
    }
}

async fn serve(api: &Api, request: Request, next: Next) -> Result<Response, Problem> {
    let is_probe = probes::PATHS.contains(&request.uri().path());
    if !is_probe && api.backends.are_full(request.uri().path()) {
        return Err(Problem::overloaded());
    }
    let request = receive(api, request).await?;
    // Not before its body is there: who sends slowly takes nobody's place.
    let place = if is_probe {
        None
    } else {
        Some(api.at_work.try_acquire().map_err(|_full| Problem::overloaded())?)
    };
    let response = tokio::time::timeout(api.limits.request_timeout, next.run(request)).await;
    drop(place);
    response.map_err(|_elapsed| too_late())
}

fn too_late() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "timeout",
        "the answer took too long; what was asked may or may not be done",
    )
}

/// The request with who asks, and its whole body where there is an operation that takes one. Whatever is left of
/// another body is passed over by the connection, which ends with the answer.
async fn receive(api: &Api, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let identity = caller::identify(api, &parts.headers, &parts.extensions);
    let identity = tokio::time::timeout(api.limits.request_timeout, identity)
        .await
        .map_err(|_elapsed| too_late())?;
    count(api, parts.uri.path(), &identity).map_err(Problem::too_many_requests)?;

    let route = parts.extensions.get::<MatchedPath>();
    let operation = route.and_then(|route| api.operations.get(route.as_str(), &parts.method));
    // Who is not known is told that before anything else, by the handler.
    let operation = operation.filter(|operation| !operation.needs_token || identity.is_known());
    let body = match operation {
        Some(operation) => {
            let mut found = unknown_parameters(operation, parts.uri.query().unwrap_or_default())?;
            found.extend(idempotency::not_honoured(
                operation,
                &parts.method,
                &parts.headers,
            ));
            found.extend(conditional::overlong(&parts.headers));
            if !found.is_empty() {
                if operation.body == TakesBody::No && !operation.takes_id {
                    return Err(Problem::invalid(found));
                }
                // Told with what is wrong with the rest.
                parts.extensions.insert(Found(found));
            }
            if reads_body(operation, &parts.headers) {
                let address = identity.address();
                Body::from(api.bodies.receive(&parts.headers, body, address).await?)
            } else {
                Body::empty()
            }
        }
        None => Body::empty(),
    };
    parts.extensions.insert(identity);
    Ok(Request::from_parts(parts, body))
}

/// One rule for every operation: a query is text, and of parameters that are known. Where there are any, the handler
/// reads them.
fn unknown_parameters(operation: Operation, query: &str) -> Result<Vec<FieldError>, Problem> {
    input::is_text(query)?;
    Ok(if operation.takes_query {
        Vec::new()
    } else {
        decode::no_parameters(query).err().unwrap_or_default()
    })
}

fn reads_body(operation: Operation, headers: &HeaderMap) -> bool {
    match operation.body {
        TakesBody::Always => true,
        TakesBody::IfSent => {
            headers.contains_key(header::CONTENT_TYPE) || headers.contains_key(header::TRANSFER_ENCODING)
        }
        TakesBody::No => false,
    }
}

/// Refuses clients that ask too often, with the seconds until they may. Probes are not counted.
fn count(api: &Api, path: &str, identity: &Identity) -> Result<(), u64> {
    if probes::PATHS.contains(&path) {
        Ok(())
    } else if path.starts_with("/auth/") {
        api.limiter.count_login(identity.address())
    } else {
        api.limiter.count_requests(identity.client(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for good in ["shop.example", "shop.example:8080", "127.0.0.1", "[::1]:80", "a:"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "user@shop.example",
            "shop.example/path",
            "a:port",
            "a:99999",
            "[::1",
            "a,b c",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
