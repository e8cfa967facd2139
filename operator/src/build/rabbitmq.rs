//! The embedded RabbitMQ: one pod of the official image with the management plugin, or of one that can be used alike.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, EnvVar, KeyToPath, SecretVolumeSource, Service, Volume, VolumeMount},
};

use super::{
    pod::{mount, mount_read_only, port, scratch, tcp, unprivileged},
    postgres::{data_store, data_store_resources, data_store_service},
};
use crate::{
    names,
    validate::{DataStore, Validated},
};

/// The user `rabbitmq` of the official image.
const USER: i64 = 999;
const AMQP: u16 = 5672;
const MANAGEMENT: u16 = 15672;

pub(super) fn service(shop: &Validated) -> Service {
    data_store_service(
        shop,
        names::RABBITMQ,
        &[("amqp", AMQP), ("management", MANAGEMENT)],
    )
}

pub(super) fn stateful_set(shop: &Validated, store: &DataStore, has_default_class: bool) -> StatefulSet {
    let container = Container {
        name: names::RABBITMQ.to_owned(),
        image: Some(store.image.clone()),
        image_pull_policy: Some(shop.image.pull_policy.as_str().to_owned()),
        ports: Some(vec![port("amqp", AMQP), port("management", MANAGEMENT)]),
        env: Some(vec![EnvVar {
            // Where the node keeps its data is named after it: the name must not change with the pod's address.
            name: "RABBITMQ_NODENAME".to_owned(),
            value: Some("rabbit@localhost".to_owned()),
            value_from: None,
        }]),
        volume_mounts: Some(vec![
            mount("data", "/var/lib/rabbitmq"),
            mount("log", "/var/log/rabbitmq"),
            mount("tmp", "/tmp"),
            VolumeMount {
                sub_path: Some("default.conf".to_owned()),
                ..mount_read_only("configuration", "/etc/rabbitmq/conf.d/20-shop.conf")
            },
        ]),
        resources: Some(data_store_resources("100m", "256Mi", "1Gi")),
        security_context: Some(unprivileged()),
        // The listener opens last, when queues and plugins are up. A probe that runs rabbitmq-diagnostics would start a
        // virtual machine of Erlang each time.
        // A node that has much to recover takes as long as it takes, and one that can't ends by itself.
        startup_probe: Some(tcp("amqp", 1, 3600)),
        liveness_probe: Some(tcp("amqp", 10, 6)),
        readiness_probe: Some(tcp("amqp", 5, 3)),
        ..Container::default()
    };
    data_store(
        shop,
        names::RABBITMQ,
        USER,
        store,
        has_default_class,
        container,
        vec![
            scratch("log"),
            scratch("tmp"),
            Volume {
                name: "configuration".to_owned(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(names::credentials(&shop.name, names::RABBITMQ)),
                    default_mode: Some(0o440),
                    items: Some(vec![KeyToPath {
                        key: "default.conf".to_owned(),
                        path: "default.conf".to_owned(),
                        ..KeyToPath::default()
                    }]),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            },
        ],
    )
}
