//! The embedded PostgreSQL: one pod of the official image, or of one that can be used alike.

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{
            Container, EnvVar, ExecAction, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec,
            PodTemplateSpec, Probe, ResourceRequirements, SecretVolumeSource, Service, ServicePort,
            ServiceSpec, Volume, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use kube::core::ObjectMeta;

use super::{
    labels, owned,
    pod::{self, mount, mount_read_only, port, scratch, tcp, unprivileged},
    selector,
};
use crate::{
    names,
    validate::{DataStore, Validated},
};

/// The user `postgres` of the official image.
const USER: i64 = 999;
const PORT: u16 = 5432;

pub(super) fn service(shop: &Validated) -> Service {
    data_store_service(shop, names::POSTGRES, &[("postgres", PORT)])
}

pub(super) fn stateful_set(shop: &Validated, store: &DataStore, has_default_class: bool) -> StatefulSet {
    let value = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    };
    let container = Container {
        name: names::POSTGRES.to_owned(),
        image: Some(store.image.clone()),
        image_pull_policy: Some(shop.image.pull_policy.as_str().to_owned()),
        ports: Some(vec![port("postgres", PORT)]),
        env: Some(vec![
            // A folder of the volume: initdb refuses one with a lost+found in it.
            value("PGDATA", "/var/lib/postgresql/data/pgdata"),
            value("POSTGRES_PASSWORD_FILE", "/run/secrets/postgres/password"),
            value("POSTGRES_INITDB_ARGS", "--auth-host=scram-sha-256"),
        ]),
        volume_mounts: Some(vec![
            mount("data", "/var/lib/postgresql/data"),
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
            mount_read_only("credentials", "/run/secrets/postgres"),
        ]),
        resources: Some(data_store_resources("100m", "256Mi", "1Gi")),
        security_context: Some(unprivileged()),
        // Only that something listens: a server that recovers after a crash is alive, and not ready, for as long as that
        // takes. It listens before it recovers, and not yet while the image sets itself up.
        startup_probe: Some(tcp("postgres", 1, 600)),
        liveness_probe: Some(tcp("postgres", 10, 6)),
        readiness_probe: Some(is_ready(5, 3)),
        ..Container::default()
    };
    data_store(
        shop,
        names::POSTGRES,
        USER,
        store,
        has_default_class,
        container,
        vec![
            scratch("run"),
            scratch("tmp"),
            Volume {
                name: "credentials".to_owned(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(names::credentials(&shop.name, names::POSTGRES)),
                    default_mode: Some(0o440),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            },
        ],
    )
}

/// Over TCP: while the image sets itself up, a server that is not the real one answers at the socket.
fn is_ready(period: i32, failures: i32) -> Probe {
    let command = ["pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"];
    Probe {
        exec: Some(ExecAction {
            command: Some(command.map(str::to_owned).into()),
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

/// The headless Service of a data store's one pod.
pub(super) fn data_store_service(shop: &Validated, part: &str, ports: &[(&str, u16)]) -> Service {
    let ports = ports.iter().map(|(name, number)| ServicePort {
        name: Some((*name).to_owned()),
        port: i32::from(*number),
        target_port: Some(IntOrString::String((*name).to_owned())),
        ..ServicePort::default()
    });
    Service {
        metadata: owned(shop, names::object(&shop.name, part), part),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(labels(&shop.name, part)),
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

pub(super) fn data_store_resources(cpu: &str, memory: &str, most_memory: &str) -> ResourceRequirements {
    let quantity = |name: &str, value: &str| (name.to_owned(), Quantity(value.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", cpu), quantity("memory", memory)].into()),
        limits: Some([quantity("memory", most_memory)].into()),
        ..ResourceRequirements::default()
    }
}

/// A StatefulSet of one pod, with a volume where one can be had.
pub(super) fn data_store(
    shop: &Validated,
    part: &str,
    user: i64,
    store: &DataStore,
    has_default_class: bool,
    mut container: Container,
    mut volumes: Vec<Volume>,
) -> StatefulSet {
    if let Some(resources) = &store.resources {
        container.resources = Some(resources.clone());
    }
    let name = names::object(&shop.name, part);
    let persistent = has_default_class || store.storage_class_name.is_some();
    if !persistent {
        volumes.push(scratch("data"));
    }
    let claim = PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".to_owned()),
            labels: Some(labels(&shop.name, part)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: store.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), store.storage.clone())].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    };
    let when_deleted = if shop.retain { "Retain" } else { "Delete" };
    StatefulSet {
        metadata: owned(shop, name.clone(), part),
        spec: StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(name),
            selector: selector(shop, part),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(&shop.name, part)),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    // Time to write everything down.
                    termination_grace_period_seconds: Some(60),
                    containers: vec![container],
                    volumes: Some(volumes),
                    ..pod::of(shop, user, &store.placement)
                }),
            },
            volume_claim_templates: persistent.then(|| vec![claim]),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(when_deleted.to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            ..StatefulSetSpec::default()
        },
        status: None,
    }
}
