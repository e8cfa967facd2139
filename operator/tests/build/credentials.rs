//! Made once, and kept.

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use secrecy::ExposeSecret as _;
use shop_operator::{
    build::{Surroundings, build},
    credentials::{Credentials, CredentialsError, Existing},
    validate::validate,
};

use crate::support::with_spec;

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
    let first = Credentials::complete(&shop, &Existing::new()).unwrap();
    let built = build(&shop, &first, &Surroundings::default());
    let second = Credentials::complete(&shop, &read_back(&built)).unwrap();
    assert_eq!(build(&shop, &second, &Surroundings::default()), built);
    let other = Credentials::complete(&shop, &Existing::new()).unwrap();
    assert_ne!(other.identity, first.identity);
    assert_ne!(build(&shop, &other, &Surroundings::default()), built);
}

#[test]
fn passwords_are_long_different_and_not_shown() {
    let shop = validate(&with_spec("{}")).unwrap();
    let made = Credentials::complete(&shop, &Existing::new()).unwrap();
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
        Credentials::complete(&shop, &Existing::new()).unwrap(),
        Credentials::complete(&shop, &Existing::new()).unwrap(),
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
        Credentials::complete(&shop, &[(secret.to_owned(), entries)].into())
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
    let made = Credentials::complete(&shop, &Existing::new()).unwrap();
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
        Credentials::complete(&shop, &Existing::new()).unwrap(),
        Credentials::complete(&shop, &Existing::new()).unwrap(),
    );
    assert!(one.database_name(&shop.name, "inventory").len() <= 63);
    assert!(one.databases.values().all(|login| login.username.len() <= 63));
    assert_ne!(
        one.database_name(&shop.name, "orders"),
        other.database_name(&shop.name, "orders")
    );
    assert_ne!(one.vhost(&shop.name), other.vhost(&shop.name));
}
