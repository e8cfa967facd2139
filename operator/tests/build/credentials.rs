//! Made once, and kept.

use secrecy::ExposeSecret as _;
use shop_operator::{
    build::{Surroundings, build},
    credentials::{Credentials, Existing},
    validate::validate,
};

use crate::support::with_spec;

/// The Secrets that were built, as they are read back.
fn read_back(resources: &shop_operator::build::Resources) -> Existing {
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
    let first = Credentials::complete(&shop, &Existing::new());
    let built = build(&shop, &first, &Surroundings::default());
    let second = Credentials::complete(&shop, &read_back(&built));
    assert_eq!(build(&shop, &second, &Surroundings::default()), built);
    let other = Credentials::complete(&shop, &Existing::new());
    assert_ne!(other.identity, first.identity);
    assert_ne!(build(&shop, &other, &Surroundings::default()), built);
}

#[test]
fn passwords_are_long_different_and_not_shown() {
    let shop = validate(&with_spec("{}")).unwrap();
    let made = Credentials::complete(&shop, &Existing::new());
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
fn names_on_a_server_fit_and_tell_shops_apart() {
    let mut shop = with_spec("{}");
    shop.metadata.name = Some("a".repeat(40));
    let shop = validate(&shop).unwrap();
    let (one, other) = (
        Credentials::complete(&shop, &Existing::new()),
        Credentials::complete(&shop, &Existing::new()),
    );
    assert!(one.database_name(&shop.name, "inventory").len() <= 63);
    assert!(one.databases.values().all(|login| login.username.len() <= 63));
    assert_ne!(
        one.database_name(&shop.name, "orders"),
        other.database_name(&shop.name, "orders")
    );
    assert_ne!(one.vhost(&shop.name), other.vhost(&shop.name));
}
