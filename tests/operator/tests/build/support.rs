//! Shops as they are read from files, and credentials that are the same each time.

use std::{collections::BTreeMap, path::PathBuf};

use k8s_openapi::jiff::Timestamp;
use shop_operator::{
    build::{Neighbours, Resources, Surroundings, build},
    certificates,
    crd::Shop,
    credentials::Credentials,
    existing::Existing,
    names::{self, Program},
    validate::{Validated, validate},
};

/// When the tests take place: 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Where the operator runs.
pub(crate) const OPERATOR_NAMESPACE: &str = "shop-system";
/// From where metrics are scraped.
pub(crate) const SCRAPER_NAMESPACE: &str = "monitoring";

/// The Shop of a file in `deploy/examples`, as the API server would give it.
pub(crate) fn example(name: &str) -> Shop {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../deploy/examples/{name}.yaml"));
    from_yaml(&std::fs::read_to_string(path).unwrap())
}

/// A Shop in the namespace `default`, unless it says otherwise.
pub(crate) fn from_yaml(text: &str) -> Shop {
    let mut shop: Shop = serde_saphyr::from_str(text).unwrap();
    shop.metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    shop.metadata.uid = Some("00000000-0000-7000-8000-000000000001".to_owned());
    shop
}

/// A Shop named `demo` with that spec.
pub(crate) fn with_spec(spec: &str) -> Shop {
    from_yaml(&format!(
        "apiVersion: shop-operator.io/v1alpha1\nkind: Shop\nmetadata: {{name: demo}}\nspec: {spec}\n"
    ))
}

/// Secrets in which everything is kept already.
pub(crate) fn kept(shop: &Validated) -> Existing {
    let mut existing = Existing::new();
    let mut keep = |secret: String, entries: &[(&str, &str)]| {
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()));
        existing.insert(secret, entries.collect::<BTreeMap<_, _>>());
    };
    keep(
        names::object(&shop.name, "identity"),
        &[("identity", "0123456789ab")],
    );
    keep(
        names::object(&shop.name, "admin"),
        &[("password", "admins-password")],
    );
    keep(
        names::object(&shop.name, "signing-keys"),
        &[("keys.pem", "(a signing key)")],
    );
    for part in [names::POSTGRES, names::RABBITMQ] {
        keep(
            names::credentials(&shop.name, part),
            &[("password", "stores-password")],
        );
    }
    for program in Program::ALL {
        keep(
            names::credentials(&shop.name, program.name()),
            &[("password", "services-password")],
        );
    }
    let certificate = [
        ("tls.crt", "(a certificate)"),
        ("tls.key", "(its key)"),
        ("ca.crt", "(the certificate of the authority)"),
        ("renew-at", "2026-03-01T00:00:00Z"),
    ];
    for program in Program::ALL {
        keep(certificates::program_secret(&shop.name, program), &certificate);
    }
    let mut authority = certificate;
    authority[0] = ("tls.crt", "(the certificate of the authority)");
    keep(certificates::authority_secret(&shop.name), &authority);
    existing
}

/// The objects of a Shop in a cluster with a storage class.
pub(crate) fn objects(shop: &Shop) -> (Validated, Resources) {
    let validated = validate(shop).unwrap();
    let credentials = Credentials::complete(&validated, &kept(&validated), NOW).unwrap();
    let surroundings = Surroundings {
        has_default_storage_class: true,
        neighbours: Neighbours {
            operator: OPERATOR_NAMESPACE.to_owned(),
            scrapers: vec![SCRAPER_NAMESPACE.to_owned()],
        },
        database_ca: Some("(the authority of the database)".to_owned()),
        messaging_ca: Some("(the authority of the broker)".to_owned()),
    };
    let resources = build(&validated, &credentials, &surroundings);
    (validated, resources)
}
