//! New logins step by step, with the Secrets read back between the steps as after a restart.

use std::time::Duration;

use k8s_openapi::jiff::{Timestamp, ToSpan as _};
use secrecy::ExposeSecret as _;
use shop_operator::{
    build::{Resources, Surroundings, build},
    credentials::Credentials,
    existing::Existing,
    names::Program,
    validate::{Validated, validate},
};

use crate::{
    credentials::read_back,
    support::{NOW, with_spec},
};

struct Restarted {
    shop: Validated,
    credentials: Credentials,
    built: Resources,
}

impl Restarted {
    fn new() -> Self {
        let shop = validate(&with_spec("{}")).unwrap();
        let credentials = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
        Self::from(shop, &credentials)
    }

    fn from(shop: Validated, credentials: &Credentials) -> Self {
        let built = build(&shop, credentials, &Surroundings::default());
        let credentials = Credentials::complete(&shop, &read_back(&built), NOW).unwrap();
        Self {
            shop,
            credentials,
            built,
        }
    }

    fn step(mut self, step: impl FnOnce(&mut Credentials)) -> Self {
        step(&mut self.credentials);
        Self::from(self.shop, &self.credentials)
    }

    fn names(&self, program: Program) -> Vec<&str> {
        let logins = self.credentials.valid_logins(program);
        logins.map(|login| login.username.as_str()).collect()
    }

    fn url(&self, program: &str, key: &str) -> String {
        let secrets = read_back(&self.built);
        secrets[&format!("demo-{program}-credentials")][key]
            .expose_secret()
            .to_owned()
    }

    fn checksums(&self) -> Vec<Option<String>> {
        let deployments = self.built.services.deployments.iter();
        deployments
            .map(|(_, deployment)| {
                let annotations = deployment.spec.template.metadata.as_ref()?.annotations.as_ref()?;
                annotations.get("shop-operator.io/credentials-checksum").cloned()
            })
            .collect()
    }
}

#[test]
fn every_login_is_replaced_and_the_names_alternate() {
    let now = Timestamp::UNIX_EPOCH;
    let first = Restarted::new();
    let [name] = first.names(Program::OrderService)[..] else {
        panic!("one login")
    };
    let (name, second) = (name.to_owned(), format!("{name}-b"));
    let checksums = first.checksums();
    let url = first.url("order-service", "DATABASE_URL");

    let prepared = first.step(|it| it.prepare(now));
    assert!(prepared.credentials.is_rotating());
    assert_eq!(prepared.names(Program::OrderService), [&name, &second]);
    assert_eq!(prepared.names(Program::ProducerService).len(), 2);
    assert_eq!(
        prepared.checksums(),
        checksums,
        "no pod rolls before the new logins are made"
    );
    assert_eq!(prepared.url("order-service", "DATABASE_URL"), url);

    let promoted = prepared.step(|it| assert!(it.promote()));
    assert!(promoted.credentials.is_rotating());
    assert_eq!(promoted.names(Program::OrderService), [&second, &name]);
    assert!(
        promoted
            .url("order-service", "DATABASE_URL")
            .contains(&format!("//{second}:"))
    );
    let rolled = promoted.checksums();
    let differ = rolled
        .iter()
        .zip(&checksums)
        .filter(|(now, before)| now != before)
        .count();
    assert_eq!(differ, 5, "each that has a login rolls: {rolled:?}");

    let retired = promoted.step(|it| assert!(it.retire()));
    assert!(!retired.credentials.is_rotating());
    assert_eq!(retired.names(Program::OrderService), [&second]);
    assert_eq!(retired.checksums(), rolled, "no pod rolls for the end of it");

    let again = retired.step(|it| it.prepare(now));
    assert_eq!(again.names(Program::OrderService), [&second, &name]);
    let again = again.step(|it| assert!(it.promote() && it.retire()));
    assert_ne!(
        again.url("order-service", "DATABASE_URL"),
        url,
        "the name is the same, the password is not"
    );
}

#[test]
fn the_time_is_counted_from_when_it_is_first_asked() {
    let (now, month) = (Timestamp::UNIX_EPOCH, Some(Duration::from_hours(720)));
    let mut it = Restarted::new();
    assert!(!it.credentials.is_due(None, now));
    assert_eq!(it.credentials.rotated_at, None);
    assert!(!it.credentials.is_due(month, now));
    let mut it = it.step(|_| {});
    assert!(!it.credentials.is_due(month, now + 719.hours()));
    assert!(it.credentials.is_due(month, now + 720.hours()));
    let mut it = it.step(|it| it.prepare(now + 720.hours()));
    assert!(!it.credentials.is_due(month, now + 721.hours()));
}
