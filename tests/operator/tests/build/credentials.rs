//! Made once, and kept.

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use secrecy::ExposeSecret as _;
use shop_operator::{
    build::{Endpoints, Surroundings, build},
    crd::ShopStatus,
    credentials::{
        Credentials, CredentialsError, database_admin_secret, database_ca_secret, messaging_admin_secret,
    },
    existing::Existing,
    validate::validate,
};

use crate::support::{NOW, with_spec};

/// The Secrets that were built, as they are read back.
pub(crate) fn read_back(resources: &shop_operator::build::Resources) -> Existing {
    let secrets = resources.foundation.secrets.iter().map(|secret| {
        let data = secret.data.iter().flatten();
        let text = data.map(|(key, value)| (key.clone(), String::from_utf8(value.0.clone()).unwrap().into()));
        (secret.metadata.name.clone().unwrap(), text.collect())
    });
    secrets.collect()
}

#[test]
fn what_was_made_is_kept() {
    let shop = validate(&with_spec("{}")).unwrap();
    let first = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    let built = build(&shop, &first, &Surroundings::default());
    let second = Credentials::complete(&shop, &read_back(&built), NOW).unwrap();
    assert_eq!(build(&shop, &second, &Surroundings::default()), built);
    let other = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    assert_ne!(other.identity, first.identity);
    assert_ne!(build(&shop, &other, &Surroundings::default()), built);
}

#[test]
fn passwords_are_long_different_and_not_shown() {
    let shop = validate(&with_spec("{}")).unwrap();
    let made = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    let logins = made
        .databases
        .values()
        .chain(made.brokers.values())
        .chain(&made.postgres)
        .chain(&made.rabbitmq);
    let mut passwords: Vec<&str> = logins.map(|login| login.password.expose_secret()).collect();
    passwords.push(made.first_admin.password.expose_secret());
    assert_eq!(passwords.len(), 8);
    for password in &passwords {
        assert_eq!(password.len(), 32);
        assert!(
            password
                .chars()
                .all(|character| character.is_ascii_alphanumeric())
        );
        assert!(!format!("{made:?} {:?}", made.first_admin).contains(password));
    }
    passwords.sort_unstable();
    passwords.dedup();
    assert_eq!(passwords.len(), 8);
}

#[test]
fn a_signing_key_is_one_and_not_shown() {
    let shop = validate(&with_spec("{}")).unwrap();
    let (one, other) = (
        Credentials::complete(&shop, &Existing::new(), NOW).unwrap(),
        Credentials::complete(&shop, &Existing::new(), NOW).unwrap(),
    );
    let pem = one.signing_keys.expose_secret();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    SigningKey::from_pkcs8_pem(pem.trim_end()).unwrap();
    assert_ne!(pem, other.signing_keys.expose_secret());
    assert!(!format!("{one:?}").contains("PRIVATE"));
}

#[test]
fn a_password_of_ones_own_must_fit_into_a_url() {
    let shop = validate(&with_spec("{}")).unwrap();
    let with = |secret: &str, password: &str| {
        let entries = [("password".to_owned(), password.into())].into();
        Credentials::complete(&shop, &[(secret.to_owned(), entries)].into(), NOW)
    };
    let made = with("demo-postgres-credentials", "my-own.password_1~").unwrap();
    assert_eq!(
        made.postgres.unwrap().password.expose_secret(),
        "my-own.password_1~"
    );
    for password in [
        "",
        "p@ss",
        "with space",
        "tab\t",
        "pässword",
        "a/b",
        "a%20b",
        "a#b",
    ] {
        for secret in ["demo-postgres-credentials", "demo-producer-service-credentials"] {
            let error = with(secret, password).unwrap_err();
            assert!(
                matches!(&error, CredentialsError::Unfit { secret: at, key: "password" } if at == secret)
            );
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(secret) && (password.is_empty() || !shown.contains(password)));
        }
    }
    // The first admin's stands in no URL.
    assert!(with("demo-admin", "p@ss wörd").is_ok());
}

#[test]
fn an_ipv6_address_stands_in_brackets_in_a_url() {
    let spec = "{database: {external: {host: '2001:db8::1', adminSecret: {name: a}}}}";
    let shop = validate(&with_spec(spec)).unwrap();
    let made = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    let built = read_back(&build(&shop, &made, &Surroundings::default()));
    let url = built["demo-order-service-credentials"]["DATABASE_URL"].expose_secret();
    assert!(url.contains("@[2001:db8::1]:5432/demo-orders-"), "{url}");
}

#[test]
fn names_on_a_server_fit_and_tell_shops_apart() {
    let mut shop = with_spec("{}");
    shop.metadata.name = Some("a".repeat(40));
    let shop = validate(&shop).unwrap();
    let (one, other) = (
        Credentials::complete(&shop, &Existing::new(), NOW).unwrap(),
        Credentials::complete(&shop, &Existing::new(), NOW).unwrap(),
    );
    assert!(one.database_name(&shop.name, "inventory").len() <= 63);
    assert!(one.databases.values().all(|login| login.username.len() <= 63));
    assert_ne!(
        one.database_name(&shop.name, "orders"),
        other.database_name(&shop.name, "orders")
    );
    assert_ne!(one.vhost(&shop.name), other.vhost(&shop.name));
}

#[test]
fn who_administers_a_back_end_is_in_a_secret_of_its_own() {
    let secrets = |spec: &str| {
        let shop = validate(&with_spec(spec)).unwrap();
        [database_admin_secret, database_ca_secret, messaging_admin_secret].map(|of| of(&shop))
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(secrets("{}"), [None, None, None]);
    assert_eq!(
        secrets("{database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}}"),
        [
            some("demo-postgres-superuser"),
            some("demo-postgres-ca"),
            some("demo-rabbitmq-default-user")
        ]
    );
    let external = "{database: {external: {host: a, adminSecret: {name: b}}}, \
                     messaging: {external: {amqp: 'amqp://a', management: 'http://a', adminSecret: {name: c}}}}";
    assert_eq!(secrets(external), [some("b"), some("b"), some("c")]);
}

#[test]
fn a_cluster_needs_no_credentials_of_ours_and_is_reached_by_its_services() {
    let spec = "{database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}}";
    let shop = validate(&with_spec(spec)).unwrap();
    let made = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    assert!(made.postgres.is_none() && made.rabbitmq.is_none());
    let endpoints = Endpoints::of(&shop);
    assert_eq!(endpoints.database_host, "demo-postgres-rw.default.svc");
    assert_eq!(endpoints.amqp, "amqp://demo-rabbitmq.default.svc:5672");
    assert_eq!(endpoints.management, "http://demo-rabbitmq.default.svc:15672");
    let built = read_back(&build(&shop, &made, &Surroundings::default()));
    let url = built["demo-order-service-credentials"]["DATABASE_URL"].expose_secret();
    assert!(
        url.ends_with("?sslmode=verify-full&sslrootcert=/run/secrets/shop/ca.crt"),
        "{url}"
    );
}

/// The Secret that has it may be deleted, alone or by a foreground deletion, and the databases are under its name.
#[test]
fn a_shop_whose_identity_was_deleted_stays_itself() {
    let mut shop = with_spec("{}");
    shop.status = Some(ShopStatus {
        identity: Some("0123456789ab".to_owned()),
        ..ShopStatus::default()
    });
    let shop = validate(&shop).unwrap();
    let made = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    assert_eq!(made.identity, "0123456789ab");
    // What the Secret says is what counts: a new Shop of the name finds the data of an old one by it.
    let entries = [("identity".to_owned(), "ba9876543210".into())].into();
    let existing = [("demo-identity".to_owned(), entries)].into();
    let made = Credentials::complete(&shop, &existing, NOW).unwrap();
    assert_eq!(made.identity, "ba9876543210");
}

/// Weaker has to be said.
#[test]
fn an_external_postgresql_is_verified_by_the_authority_that_is_given_or_a_public_one() {
    let url = |tls: &str, ca: Option<&str>| {
        let spec = format!("{{database: {{external: {{host: a, adminSecret: {{name: b}}{tls}}}}}}}");
        let shop = validate(&with_spec(&spec)).unwrap();
        let made = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
        let surroundings = Surroundings {
            database_ca: ca.map(str::to_owned),
            ..Surroundings::default()
        };
        let built = read_back(&build(&shop, &made, &surroundings));
        let url = built["demo-order-service-credentials"]["DATABASE_URL"].expose_secret();
        url.split_once('?').unwrap().1.to_owned()
    };
    let with_ca = "sslmode=verify-full&sslrootcert=/run/secrets/shop/ca.crt";
    assert_eq!(url("", Some("(an authority)")), with_ca);
    assert_eq!(url("", None), "sslmode=verify-full");
    assert_eq!(url(", tls: verify-full", None), "sslmode=verify-full");
    assert_eq!(url(", tls: prefer", None), "sslmode=prefer");
    assert_eq!(url(", tls: disable", None), "sslmode=disable");
}
