//! Who calls, and whether it may ([`proto::callers`]): asked of each call that comes over mutual TLS, before anything is
//! done for it. Over a connection that is not encrypted nobody can say who calls; then everybody may, and the service
//! has said so at its start.
//!
//! **The name** is in the certificate of the connection, as a URI in SPIFFE's form ([`tls::spiffe_id`]). Certificates
//! of the operator before this one have a host alone, `<shop>-<service>.<namespace>.svc`, and its first label tells the
//! name too: so that the pods of one version and of the next call each other while the next rolls out. That goes with
//! the release after 0.2: the operator renews each certificate within 60 days, and by then none without a URI is valid.
//!
//! It is read anew for each call rather than kept per connection, for which tonic has no place: that takes two or three
//! microseconds, and calls that come by the thousand share a stream ([`super::multiplex`]), which is one call
//! here.

use std::{
    convert::Infallible,
    future::{self, Future},
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use http::{Request, Response};
use opentelemetry::{KeyValue, metrics::Counter};
use proto::callers::{self, Caller};
use tonic::{
    Code, Status,
    body::Body,
    transport::{CertificateDer, server::TlsConnectInfo},
};
use tower::{Layer, Service};
use webpki::EndEntityCert;

use super::{incoming::Peer, method, status::with_reason};
use crate::{security, telemetry::meter, tls};

/// In metrics and log lines: whose certificate names no service.
const STRANGER: &str = "_OTHER";

/// Refuses calls of the services that it is put around, where who calls may not.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckCallers;

impl<S> Layer<S> for CheckCallers {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Checked<S> {
        Checked { inner }
    }
}

/// See [`CheckCallers`].
#[derive(Clone, Debug)]
pub(super) struct Checked<S> {
    inner: S,
}

/// As the service inside has it, so that a call that may be made costs no box of its own.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Checked<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match check(&request) {
            Ok(()) => self.inner.call(request),
            Err(refused) => Box::pin(future::ready(Ok(refused.into_http()))),
        }
    }
}

fn check(request: &Request<Body>) -> Result<(), Status> {
    let Some(connection) = request.extensions().get::<TlsConnectInfo<Peer>>() else {
        return Ok(());
    };
    let path = request.uri().path();
    // The standard services tell of the server itself. A method that is none of ours gets the router's UNIMPLEMENTED, by
    // which a caller of another version knows that it has to call otherwise.
    let Some(method) = method::known(path).filter(|_| !method::is_probe(path)) else {
        return Ok(());
    };
    let certificates = connection.peer_certs();
    let caller = certificates
        .as_deref()
        .and_then(|chain| caller_of(chain.first()?));
    let allowed = callers::of(path).unwrap_or_default();
    if caller.is_some_and(|caller| allowed.contains(&caller)) {
        return Ok(());
    }
    Err(refuse(
        method,
        caller.map_or(STRANGER, Caller::name),
        connection.get_ref(),
    ))
}

/// A certificate of the authority was used for what its owner has no reason to do: a service that was broken into, or
/// a mistake in the table.
fn refuse(method: &'static str, caller: &'static str, peer: &Peer) -> Status {
    REFUSED.add(
        1,
        &[
            KeyValue::new("rpc.method", method),
            KeyValue::new("shop.caller", caller),
        ],
    );
    security::count(security::Event::CallRefused);
    tracing::warn!(
        event.name = security::Event::CallRefused.name(),
        rpc.method = method,
        shop.caller = caller,
        network.peer.address = %peer.address,
        "a call was refused: {caller} may not call {method}"
    );
    with_reason(
        Code::PermissionDenied,
        "CALLER_NOT_ALLOWED",
        format!("{caller} may not call {method}"),
    )
}

/// The service that a certificate names, if it names one and no other.
fn caller_of(certificate: &CertificateDer<'_>) -> Option<Caller> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let mut uris = certificate.valid_uri_names();
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Caller::from_name(tls::service_of(uri)?),
        // SPIFFE's rule: an identity has one URI.
        (Some(_), Some(_)) => None,
        (None, _) => {
            let mut hosts = certificate.valid_dns_names();
            let host = hosts.next()?;
            hosts.next().is_none().then(|| caller_of_host(host))?
        }
    }
}

/// `demo-order-service.default.svc` is the order-service of the Shop `demo`.
fn caller_of_host(host: &str) -> Option<Caller> {
    let (object, rest) = host.split_once('.')?;
    let is_of_a_cluster = rest
        .strip_suffix(".svc")
        .is_some_and(|namespace| !namespace.is_empty() && !namespace.contains('.'));
    let is = |caller: &Caller| {
        let shop = object.strip_suffix(caller.name());
        shop.and_then(|shop| shop.strip_suffix('-'))
            .is_some_and(|shop| !shop.is_empty())
    };
    Caller::ALL.into_iter().filter(|_| is_of_a_cluster).find(is)
}

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("shop.security.refused_calls")
        .with_description("Calls that were refused because who calls may not")
        .with_unit("{call}")
        .build()
});

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    /// What a certificate with these names is taken for.
    fn named(uris: &[&str], hosts: &[&str]) -> Option<Caller> {
        let mut params =
            CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        caller_of(certificate.der())
    }

    #[test]
    fn a_certificate_names_one_service() {
        for caller in Caller::ALL {
            let id = tls::spiffe_id(caller.name());
            assert_eq!(named(&[&id], &["localhost"]), Some(caller));
            let host = format!("demo-{caller}.default.svc");
            assert_eq!(named(&[], &[&host]), Some(caller), "as of the operator before");
            assert_eq!(named(&[&id], &[&host]), Some(caller));
        }
    }

    #[test]
    fn the_uri_alone_counts_where_there_is_one_and_two_are_none() {
        let orders = tls::spiffe_id("order-service");
        let gateway = "demo-api-gateway.default.svc";
        assert_eq!(named(&[&orders], &[gateway]), Some(Caller::OrderService));
        assert_eq!(named(&["https://shop.example"], &[gateway]), None);
        assert_eq!(named(&[&orders, &tls::spiffe_id("api-gateway")], &[]), None);
        for uri in [
            "spiffe://shop/order-service/",
            "spiffe://shop/order-service?x",
            "spiffe://shop/",
            "spiffe://other/order-service",
            "spiffe://shop/ns/order-service",
        ] {
            assert_eq!(named(&[uri], &[]), None, "{uri}");
        }
    }

    #[test]
    fn a_host_names_a_service_only_as_the_operator_wrote_it() {
        for host in [
            "localhost",
            "api-gateway",
            "api-gateway.default.svc",
            "-api-gateway.default.svc",
            "demo-api-gateway.default",
            "demo-api-gateway.default.svc.cluster.local",
            "demo-api-gateway.svc",
            "demoapi-gateway.default.svc",
            "demo-api-gateway-2.default.svc",
        ] {
            assert_eq!(caller_of_host(host), None, "{host}");
        }
        let two = ["demo-api-gateway.default.svc", "demo-order-service.default.svc"];
        assert_eq!(named(&[], &two), None);
    }
}
