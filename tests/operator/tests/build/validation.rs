//! What the schema can't say.

use shop_operator::{
    crd::TlsMode,
    names::Program,
    validate::{DatabaseBackend, MessagingBackend, Replicas, ValidationError, validate},
};

use crate::support::with_spec;

#[test]
fn everything_has_a_default() {
    let shop = validate(&with_spec("{}")).unwrap();
    assert_eq!(shop.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(shop.image.registry, "ghcr.io/shop-operator");
    assert_eq!(shop.workloads.len(), 6);
    assert!(
        shop.workloads
            .values()
            .all(|workload| workload.replicas == Replicas::Fixed(1))
    );
    let DatabaseBackend::Embedded(store) = shop.database else {
        panic!("not embedded");
    };
    assert_eq!(
        (store.image.as_str(), store.storage.0.as_str()),
        ("docker.io/library/postgres:17", "1Gi")
    );
    assert!(shop.retain && shop.network_policies && shop.ingress.is_none());
}

#[test]
fn a_variable_of_the_operator_is_refused_by_name() {
    for variable in [
        "DATABASE_URL",
        "AMQP_URL_FILE",
        "ADMIN_ADDR",
        "ORDER_SERVICE_URL",
        "RUST_LOG",
    ] {
        let spec = format!("{{services: {{orders: {{env: [{{name: {variable}, value: x}}]}}}}}}");
        let error = validate(&with_spec(&spec)).unwrap_err();
        let expected = ValidationError::OwnVariable {
            field: "services.orders",
            variable: variable.to_owned(),
        };
        assert_eq!(error, expected);
        assert!(
            error.to_string().contains("spec.services.orders.env") && error.to_string().contains(variable)
        );
    }
    let spec = "{services: {orders: {env: [{name: DATABASE_MAX_CONNECTIONS, value: '16'}]}}}";
    let shop = validate(&with_spec(spec)).unwrap();
    assert_eq!(shop.workloads[&Program::OrderService].env.len(), 1);
}

#[test]
fn a_variable_has_one_value() {
    let spec = "{gateway: {env: [{name: A, value: '1'}, {name: B}, {name: A, value: '2'}]}}";
    let error = validate(&with_spec(spec)).unwrap_err();
    let expected = ValidationError::RepeatedVariable {
        field: "gateway",
        variable: "A".to_owned(),
    };
    assert_eq!(error, expected);
}

#[test]
fn a_back_end_is_had_in_exactly_one_way() {
    for spec in [
        "{database: {}}",
        "{database: {embedded: {}, external: {host: a, adminSecret: {name: b}}}}",
        "{database: {embedded: {}, cloudNativePg: {}}}",
        "{database: {cloudNativePg: {}, external: {host: a, adminSecret: {name: b}}}}",
    ] {
        let error = validate(&with_spec(spec)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.database: give exactly one of embedded, cloudNativePg and external"
        );
    }
    for spec in [
        "{messaging: {}}",
        "{messaging: {embedded: {}, rabbitmqCluster: {}}}",
    ] {
        let error = validate(&with_spec(spec)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.messaging: give exactly one of embedded, rabbitmqCluster and external"
        );
    }
}

#[test]
fn clusters_have_three_of_everything() {
    let spec = "{database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}}";
    let shop = validate(&with_spec(spec)).unwrap();
    let DatabaseBackend::CloudNativePg(postgres) = &shop.database else {
        panic!("no cluster");
    };
    let MessagingBackend::RabbitmqCluster(rabbitmq) = &shop.messaging else {
        panic!("no cluster");
    };
    assert_eq!((postgres.instances, postgres.storage.0.as_str()), (3, "10Gi"));
    assert_eq!((rabbitmq.replicas, rabbitmq.storage.0.as_str()), (3, "10Gi"));
    assert_eq!(shop.database.tls(), TlsMode::VerifyFull);
}
