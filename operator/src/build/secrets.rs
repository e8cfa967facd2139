//! Secrets: who each part is to PostgreSQL, RabbitMQ and the shop.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;
use secrecy::ExposeSecret as _;

use super::{Surroundings, certificates, host, host_of_service, of_data};
use crate::{
    clusters::{cloud_native_pg, rabbitmq},
    crd::TlsMode,
    credentials::{self, Credentials, IDENTITY, Login, PASSWORD, ROTATED_AT, SIGNING_KEYS, USERNAME},
    names::{self, Program},
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// Where a service finds its credentials.
pub(super) const MOUNTED_AT: &str = "/run/secrets/shop";
/// The key of a Secret with the whole URL of a database.
pub(super) const DATABASE_URL: &str = "DATABASE_URL";
/// The key of a Secret with the whole URL of a virtual host.
pub(super) const AMQP_URL: &str = "AMQP_URL";
/// The key of a Secret with the certificate of a server's authority.
pub(super) const CA: &str = "ca.crt";

/// Where a Shop's back ends are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// PostgreSQL's host.
    pub database_host: String,
    /// PostgreSQL's port.
    pub database_port: u16,
    /// RabbitMQ for AMQP: scheme, host and port.
    pub amqp: String,
    /// RabbitMQ's management API.
    pub management: String,
}

impl Endpoints {
    /// Those of a Shop.
    pub fn of(shop: &Validated) -> Self {
        let (database_host, database_port) = match &shop.database {
            DatabaseBackend::Embedded(_) => (host(shop, names::POSTGRES), 5432),
            DatabaseBackend::CloudNativePg(_) => {
                let service = cloud_native_pg::service(&shop.name);
                (host_of_service(shop, &service), cloud_native_pg::POSTGRES)
            }
            DatabaseBackend::External(external) => (external.host.clone(), external.port),
        };
        let inside = |host: &str, amqp: u16, management: u16| {
            (
                format!("amqp://{host}:{amqp}"),
                format!("http://{host}:{management}"),
            )
        };
        let (amqp, management) = match &shop.messaging {
            MessagingBackend::Embedded(_) => inside(&host(shop, names::RABBITMQ), 5672, 15672),
            MessagingBackend::RabbitmqCluster(_) => {
                let host = host_of_service(shop, &rabbitmq::service(&shop.name));
                inside(&host, rabbitmq::AMQP, rabbitmq::MANAGEMENT)
            }
            MessagingBackend::External(external) => (external.amqp.clone(), external.management.clone()),
        };
        Self {
            database_host,
            database_port,
            amqp,
            management,
        }
    }
}

/// All Secrets of a Shop.
pub(super) fn secrets(
    shop: &Validated,
    credentials: &Credentials,
    surroundings: &Surroundings,
) -> Vec<Secret> {
    let endpoints = Endpoints::of(shop);
    let mut identity = vec![(IDENTITY, credentials.identity.clone())];
    identity.extend(credentials.rotated_at.map(|time| (ROTATED_AT, time.to_string())));
    let mut secrets = vec![
        secret(
            of_data(shop, credentials::identity_secret(&shop.name), "identity"),
            "Opaque",
            identity,
        ),
        basic_auth(
            shop,
            credentials::first_admin_secret(&shop.name),
            "admin",
            &credentials.first_admin,
            [],
        ),
        secret(
            of_data(shop, credentials::signing_keys_secret(&shop.name), "signing-keys"),
            "Opaque",
            [(SIGNING_KEYS, credentials.signing_keys.expose_secret().to_owned())],
        ),
    ];
    if let Some(login) = &credentials.postgres {
        let name = names::credentials(&shop.name, names::POSTGRES);
        secrets.push(basic_auth(shop, name, names::POSTGRES, login, []));
    }
    if let Some(login) = &credentials.rabbitmq {
        let name = names::credentials(&shop.name, names::RABBITMQ);
        // As RabbitMQ reads it: the official image takes no password from a file of its own.
        let configuration = format!(
            "default_user = {}\ndefault_pass = {}\nloopback_users = none\n",
            login.username,
            login.password.expose_secret()
        );
        let extra = [("default.conf", configuration)];
        secrets.push(basic_auth(shop, name, names::RABBITMQ, login, extra));
    }
    for (program, login) in &credentials.databases {
        let mut extra = vec![(
            DATABASE_URL,
            database_url(shop, credentials, surroundings, *program, login),
        )];
        extra.extend(surroundings.database_ca.clone().map(|ca| (CA, ca)));
        extra.extend(others(credentials, *program));
        let name = names::credentials(&shop.name, program.name());
        secrets.push(basic_auth(shop, name, program.name(), login, extra));
    }
    for (program, login) in &credentials.brokers {
        let mut extra = vec![(AMQP_URL, amqp_url(shop, credentials, &endpoints, login))];
        extra.extend(surroundings.messaging_ca.clone().map(|ca| (CA, ca)));
        extra.extend(others(credentials, *program));
        let name = names::credentials(&shop.name, program.name());
        secrets.push(basic_auth(shop, name, program.name(), login, extra));
    }
    if let Some(made) = &credentials.certificates {
        secrets.extend(certificates::secrets(shop, made));
    }
    secrets
}

/// The logins beside a program's own, around a rotation.
fn others(credentials: &Credentials, program: Program) -> Vec<(&'static str, String)> {
    let mut entries = Vec::new();
    for (logins, username, password) in [
        (&credentials.next, "next-username", "next-password"),
        (&credentials.previous, "previous-username", "previous-password"),
    ] {
        if let Some(login) = logins.get(&program) {
            entries.push((username, login.username.clone()));
            entries.push((password, login.password.expose_secret().to_owned()));
        }
    }
    entries
}

fn database_url(
    shop: &Validated,
    credentials: &Credentials,
    surroundings: &Surroundings,
    program: Program,
    login: &Login,
) -> String {
    let endpoints = Endpoints::of(shop);
    let database = credentials.database_name(&shop.name, program.database().unwrap_or_default());
    let tls = match shop.database.tls() {
        TlsMode::Disable => "?sslmode=disable".to_owned(),
        TlsMode::Prefer => "?sslmode=prefer".to_owned(),
        TlsMode::Require => "?sslmode=require".to_owned(),
        TlsMode::VerifyCa => format!("?sslmode=verify-ca&sslrootcert={MOUNTED_AT}/{CA}"),
        // By the public authorities.
        TlsMode::VerifyFull
            if matches!(shop.database, DatabaseBackend::External(_))
                && surroundings.database_ca.is_none() =>
        {
            "?sslmode=verify-full".to_owned()
        }
        TlsMode::VerifyFull => format!("?sslmode=verify-full&sslrootcert={MOUNTED_AT}/{CA}"),
    };
    // An IPv6 address stands in brackets in a URL and without them everywhere else.
    let host = match &endpoints.database_host {
        address if address.contains(':') => format!("[{address}]"),
        name => name.clone(),
    };
    format!(
        "postgres://{}:{}@{host}:{}/{database}{tls}",
        login.username,
        login.password.expose_secret(),
        endpoints.database_port
    )
}

fn amqp_url(shop: &Validated, credentials: &Credentials, endpoints: &Endpoints, login: &Login) -> String {
    let address = endpoints
        .amqp
        .split_once("://")
        .map_or(("amqp", endpoints.amqp.as_str()), |parts| parts);
    format!(
        "{}://{}:{}@{}/{}",
        address.0,
        login.username,
        login.password.expose_secret(),
        address.1,
        credentials.vhost(&shop.name)
    )
}

fn basic_auth<'a>(
    shop: &Validated,
    name: String,
    part: &str,
    login: &Login,
    extra: impl IntoIterator<Item = (&'a str, String)>,
) -> Secret {
    let own = [
        (USERNAME, login.username.clone()),
        (PASSWORD, login.password.expose_secret().to_owned()),
    ];
    let text = own.into_iter().chain(extra);
    secret(of_data(shop, name, part), "kubernetes.io/basic-auth", text)
}

pub(super) fn secret<'a>(
    metadata: ObjectMeta,
    kind: &str,
    text: impl IntoIterator<Item = (&'a str, String)>,
) -> Secret {
    let data: BTreeMap<String, k8s_openapi::ByteString> = text
        .into_iter()
        .map(|(key, value)| (key.to_owned(), k8s_openapi::ByteString(value.into_bytes())))
        .collect();
    Secret {
        metadata,
        type_: Some(kind.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
