//! Certificates, as rustls sees them: whom they make known to whom, from when to when, and what is kept of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rustls::{
    Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use secrecy::{ExposeSecret as _, SecretString};
use shop_operator::{
    build::{Surroundings, build},
    certificates::{Certificate, Certificates, CertificatesError, authority_secret, program_secret},
    credentials::Credentials,
    existing::Existing,
    names::Program,
    validate::{Validated, validate},
};

use crate::{
    credentials::read_back,
    support::{NOW, with_spec},
};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const ORDERS: &str = "demo-order-service.default.svc";

fn shop() -> Validated {
    validate(&with_spec("{}")).unwrap()
}

/// What is made where there is what a Shop with these certificates has.
fn again(shop: &Validated, before: &Certificates, now: Timestamp) -> Certificates {
    Certificates::complete(shop, &written(shop, before), now).unwrap()
}

fn written(shop: &Validated, certificates: &Certificates) -> Existing {
    let mut credentials = Credentials::complete(shop, &Existing::new(), NOW).unwrap();
    credentials.certificates = Some(certificates.clone());
    read_back(&build(shop, &credentials, &Surroundings::default()))
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Whether who believes `authority` takes `certificate` for `host`, as that of a server and of a client.
fn verify(certificate: &Certificate, authority: &str, host: &str, now: Timestamp) -> Result<(), Error> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)).unwrap();
    let roots = Arc::new(roots);
    let since = Duration::from_secs(now.as_second().try_into().unwrap());
    let (now, leaf) = (UnixTime::since_unix_epoch(since), der(&certificate.certificate));

    let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let name = ServerName::try_from(host).unwrap();
    let servers = servers.build().unwrap();
    servers.verify_server_cert(&leaf, &[], &name, &[], now)?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    clients.build().unwrap().verify_client_cert(&leaf, &[], now)?;

    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose_secret().as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key)?;
    rustls::sign::CertifiedKey::new(vec![leaf], key).keys_match()
}

#[test]
fn a_program_is_known_by_its_host_for_ninety_days() {
    let made = Certificates::complete(&shop(), &Existing::new(), NOW).unwrap();
    let orders = &made.programs[&Program::OrderService];
    let authority = &made.authority.certificate;
    assert_eq!(&orders.authority, authority);
    for days in [0, 89] {
        verify(orders, authority, ORDERS, NOW + DAY * days).unwrap();
    }
    verify(orders, authority, ORDERS, NOW + DAY * 91).unwrap_err();
    verify(orders, authority, "demo-order-service.elsewhere.svc", NOW).unwrap_err();

    let others = Certificates::complete(&shop(), &Existing::new(), NOW).unwrap();
    verify(orders, &others.authority.certificate, ORDERS, NOW).unwrap_err();
    for program in Program::ALL {
        let host = format!("demo-{}.default.svc", program.name());
        verify(&made.programs[&program], authority, &host, NOW).unwrap();
    }
}

/// As chassis reads it of who calls.
#[test]
fn a_program_is_known_to_those_that_it_calls_by_a_uri() {
    let made = Certificates::complete(&shop(), &Existing::new(), NOW).unwrap();
    for program in Program::ALL {
        let der = der(&made.programs[&program].certificate);
        let leaf = webpki::EndEntityCert::try_from(&der).unwrap();
        let uris: Vec<_> = leaf.valid_uri_names().collect();
        assert_eq!(uris, [format!("spiffe://shop/{}", program.name())]);
    }
}

/// The network lets through what a service may call, and a service what comes through.
#[test]
fn who_may_call_a_program_is_who_calls_it() {
    let named = |name: &str| {
        Program::ALL
            .into_iter()
            .find(|program| program.name() == name)
            .unwrap()
    };
    let mut allowed = BTreeSet::new();
    for (path, callers) in proto::callers::METHODS {
        // "/shop.order.v1.OrderService/GetOrder"
        let callees = match path.split('.').nth(1).unwrap() {
            "audit" | "outbox" => vec!["user", "inventory", "order"],
            name => vec![name],
        };
        for callee in callees.iter().map(|name| named(&format!("{name}-service"))) {
            allowed.extend(callers.iter().map(|caller| (named(caller.name()), callee)));
        }
    }
    let calls = |program: Program| program.calls().iter().map(move |(callee, _)| (program, *callee));
    assert_eq!(
        allowed,
        Program::ALL.into_iter().flat_map(calls).collect::<BTreeSet<_>>()
    );
}

#[test]
fn a_certificate_is_kept_until_two_thirds_of_its_life() {
    let shop = shop();
    let first = Certificates::complete(&shop, &Existing::new(), NOW).unwrap();
    let pem = |certificates: &Certificates| certificates.programs[&Program::OrderService].certificate.clone();
    let kept = again(&shop, &first, NOW + DAY * 59);
    assert_eq!(pem(&kept), pem(&first));

    let later = NOW + DAY * 60;
    let renewed = again(&shop, &kept, later);
    assert_ne!(pem(&renewed), pem(&first));
    assert_eq!(renewed.authority.certificate, first.authority.certificate);
    let authority = &renewed.authority.certificate;
    verify(
        &renewed.programs[&Program::OrderService],
        authority,
        ORDERS,
        later + DAY * 89,
    )
    .unwrap();
}

/// Pods that have not rolled yet have the old ones, others the new ones, and they call each other.
#[test]
fn a_renewed_authority_is_believed_by_those_who_know_the_old_one() {
    let shop = shop();
    let first = Certificates::complete(&shop, &Existing::new(), NOW).unwrap();
    // What programs have by then, before the authority is renewed and after.
    let (before, after) = (first.authority.renew_at - DAY, first.authority.renew_at);
    let old = again(&shop, &first, before);
    let new = again(&shop, &old, after);
    assert_eq!(old.authority.certificate, first.authority.certificate);
    assert_ne!(new.authority.certificate, old.authority.certificate);
    for one in [&old, &new] {
        let orders = &one.programs[&Program::OrderService];
        for other in [&old, &new] {
            verify(orders, &other.authority.certificate, ORDERS, after).unwrap();
        }
    }
}

#[test]
fn what_is_deleted_is_made_anew_with_what_hangs_on_it() {
    let shop = shop();
    let first = Certificates::complete(&shop, &Existing::new(), NOW).unwrap();
    let changed = |existing: &Existing| {
        let made = Certificates::complete(&shop, existing, NOW).unwrap();
        let programs = Program::ALL.into_iter();
        let differs =
            |program: &Program| made.programs[program].certificate != first.programs[program].certificate;
        programs.filter(differs).collect::<Vec<_>>()
    };
    let mut existing = written(&shop, &first);
    assert_eq!(changed(&existing), []);
    existing.remove(&program_secret("demo", Program::UserService));
    assert_eq!(changed(&existing), [Program::UserService]);
    existing.remove(&authority_secret("demo"));
    assert_eq!(changed(&existing), Program::ALL);
}

#[test]
fn a_key_that_is_none_is_named_where_it_is_needed() {
    let shop = shop();
    let first = Certificates::complete(&shop, &Existing::new(), NOW).unwrap();
    let mut existing = written(&shop, &first);
    let authority = existing.get_mut(&authority_secret("demo")).unwrap();
    authority.insert("tls.key".to_owned(), SecretString::from("no key"));
    Certificates::complete(&shop, &existing, NOW).unwrap();
    existing.remove(&program_secret("demo", Program::UserService));
    let error = Certificates::complete(&shop, &existing, NOW).unwrap_err();
    assert!(matches!(error, CertificatesError::Key { .. }) && error.to_string().contains("Secret demo-ca"));
}

#[test]
fn keys_are_not_shown() {
    let made = Certificates::complete(&shop(), &Existing::new(), NOW).unwrap();
    assert!(!format!("{made:?}").contains("PRIVATE"));
}

#[test]
fn without_tls_there_are_none() {
    let with = |spec: &str| {
        let shop = validate(&with_spec(spec)).unwrap();
        let credentials = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
        build(&shop, &credentials, &Surroundings::default())
    };
    let (with, without) = (with("{}"), with("{tls: {enabled: false}}"));
    let tls = |resources: &shop_operator::build::Resources| {
        let secrets = resources.foundation.secrets.iter();
        secrets
            .filter(|secret| secret.type_.as_deref() == Some("kubernetes.io/tls"))
            .count()
    };
    assert_eq!((tls(&with), tls(&without)), (7, 0));
    let text = serde_json::to_string(
        &without
            .services
            .deployments
            .iter()
            .map(|(_, it)| it)
            .collect::<Vec<_>>(),
    );
    let text = text.unwrap();
    assert!(
        text.contains("http://demo-order-service") && !text.contains("https://") && !text.contains("tls")
    );
}
