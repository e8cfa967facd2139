//! A Deployment for each service.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, EnvVar, EnvVarSource, Lifecycle, LifecycleHandler, ObjectFieldSelector, PodSpec,
            PodTemplateSpec, Secret, SecretKeySelector, SecretVolumeSource, SleepAction,
            TopologySpreadConstraint, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::core::ObjectMeta;
use sha2::{Digest as _, Sha256};

use super::{
    labels, owned,
    pod::{self, http, mount_read_only, port, unprivileged},
    secrets::{AMQP_URL, CA, DATABASE_URL, MOUNTED_AT},
    selector,
};
use crate::{
    certificates::{AUTHORITY, CERTIFICATE, KEY, program_secret},
    credentials::{self, PASSWORD, SIGNING_KEYS, USERNAME},
    names::{self, Program},
    validate::{Replicas, Validated},
};

/// What the gateway believes of the proxies before it; a Shop may say it itself.
const TRUSTED_PROXIES: &str = "TRUSTED_PROXIES";
/// The user of the images, who has no name.
const USER: i64 = 65532;
/// Where user-service finds the first admin's password.
const ADMIN_MOUNTED_AT: &str = "/run/secrets/admin";
/// Where user-service finds the keys of access tokens.
const SIGNING_KEYS_MOUNTED_AT: &str = "/run/secrets/signing-keys";
/// Where a program finds its certificate.
const TLS_MOUNTED_AT: &str = "/run/secrets/tls";
/// How long a pod that is to end goes on answering, so that everybody has learnt that it will.
const DRAIN_SECONDS: i64 = 5;
/// How long calls in flight may then take.
const SHUTDOWN_GRACE_SECONDS: i64 = 8;
/// Both, and a little.
const TERMINATION_SECONDS: i64 = DRAIN_SECONDS + SHUTDOWN_GRACE_SECONDS + 7;

pub(super) fn deployment(shop: &Validated, program: Program, secrets: &[Secret]) -> Deployment {
    let deployed = &shop.workloads[&program];
    let name = names::object(&shop.name, program.name());
    let annotations = credentials_checksum(shop, program, secrets);
    Deployment {
        metadata: owned(shop, name.clone(), program.name()),
        spec: DeploymentSpec {
            replicas: match deployed.replicas {
                Replicas::Fixed(replicas) => Some(replicas),
                // An autoscaler owns the field.
                Replicas::Autoscaled(_) => None,
            },
            selector: selector(shop, program.name()),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            revision_history_limit: Some(3),
            progress_deadline_seconds: Some(120),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(&shop.name, program.name())),
                    annotations,
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(shop, program, name)),
            },
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

fn pod(shop: &Validated, program: Program, service_account: String) -> PodSpec {
    PodSpec {
        service_account_name: Some(service_account),
        termination_grace_period_seconds: Some(TERMINATION_SECONDS),
        containers: vec![container(shop, program)],
        volumes: Some(volumes(shop, program)).filter(|volumes| !volumes.is_empty()),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(selector(shop, program.name())),
            ..TopologySpreadConstraint::default()
        }]),
        ..pod::of(shop, USER, &shop.workloads[&program].placement)
    }
}

fn container(shop: &Validated, program: Program) -> Container {
    let deployed = &shop.workloads[&program];
    let ports = vec![
        port(port_name(program), program.port()),
        port("admin", program.admin_port()),
    ];
    Container {
        name: program.name().to_owned(),
        image: Some(format!(
            "{}/{}:{}",
            shop.image.registry,
            program.name(),
            shop.version
        )),
        image_pull_policy: Some(shop.image.pull_policy.as_str().to_owned()),
        ports: Some(ports),
        env: Some(environment(shop, program)),
        volume_mounts: Some(mounts(shop, program)).filter(|mounts| !mounts.is_empty()),
        resources: Some(deployed.resources.clone()),
        security_context: Some(unprivileged()),
        // A minute to start: it waits for its database.
        startup_probe: Some(http("/healthz", "admin", 1, 60)),
        liveness_probe: Some(http("/healthz", "admin", 10, 3)),
        readiness_probe: Some(http("/readyz", "admin", 2, 3)),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction {
                    seconds: DRAIN_SECONDS,
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..Container::default()
    }
}

/// What a Service and a NetworkPolicy call the port that answers calls.
pub(super) fn port_name(program: Program) -> &'static str {
    if program == Program::ApiGateway {
        "http"
    } else {
        "grpc"
    }
}

fn environment(shop: &Validated, program: Program) -> Vec<EnvVar> {
    let value = |name: &str, value: String| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    };
    let mut variables = Vec::new();
    variables.push(value("LISTEN_ADDR", format!("0.0.0.0:{}", program.port())));
    variables.push(value("ADMIN_ADDR", format!("0.0.0.0:{}", program.admin_port())));
    variables.push(value("LOG_FORMAT", "json".to_owned()));
    variables.push(value("RUST_LOG", shop.telemetry.log_level.as_str().to_owned()));
    variables.push(value("SHUTDOWN_GRACE", format!("{SHUTDOWN_GRACE_SECONDS}s")));
    for (callee, variable) in program.calls() {
        let port = callee.port();
        let scheme = if shop.tls { "https" } else { "http" };
        variables.push(value(
            variable,
            format!("{scheme}://{}:{port}", super::host(shop, callee.name())),
        ));
    }
    if shop.tls {
        for (variable, key) in [
            ("TLS_CERT_FILE", CERTIFICATE),
            ("TLS_KEY_FILE", KEY),
            ("TLS_CA_FILE", AUTHORITY),
        ] {
            variables.push(value(variable, format!("{TLS_MOUNTED_AT}/{key}")));
        }
    }
    if program.database().is_some() {
        variables.push(value("DATABASE_URL_FILE", format!("{MOUNTED_AT}/{DATABASE_URL}")));
    }
    if program.uses_broker() {
        variables.push(value("AMQP_URL_FILE", format!("{MOUNTED_AT}/{AMQP_URL}")));
        variables.push(value("AMQP_DECLARE_TOPOLOGY", "false".to_owned()));
    }
    if program == Program::UserService {
        let email = SecretKeySelector {
            name: credentials::first_admin_secret(&shop.name),
            key: USERNAME.to_owned(),
            optional: None,
        };
        variables.push(EnvVar {
            name: "ADMIN_EMAIL".to_owned(),
            value: None,
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(email),
                ..EnvVarSource::default()
            }),
        });
        variables.push(value(
            "ADMIN_PASSWORD_FILE",
            format!("{ADMIN_MOUNTED_AT}/{PASSWORD}"),
        ));
        variables.push(value(
            "TOKEN_SIGNING_KEYS_FILE",
            format!("{SIGNING_KEYS_MOUNTED_AT}/{SIGNING_KEYS}"),
        ));
    }
    let own = &shop.workloads[&program].env;
    if program == Program::ApiGateway {
        let port = program.port();
        let gateways = super::host(shop, names::GATEWAYS);
        variables.push(value("GATEWAY_REPLICAS", format!("{gateways}:{port}")));
        // One proxy, the ingress controller, unless the Shop knows of others.
        if shop.ingress.is_some() && !own.iter().any(|variable| variable.name == TRUSTED_PROXIES) {
            variables.push(value(TRUSTED_PROXIES, "1".to_owned()));
        }
    }
    if let Some(endpoint) = &shop.telemetry.otlp_endpoint {
        let field = |path: &str| EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        };
        variables.push(EnvVar {
            name: "POD_NAME".to_owned(),
            value: None,
            value_from: Some(field("metadata.name")),
        });
        let attributes = format!("k8s.namespace.name={},k8s.pod.name=$(POD_NAME)", shop.namespace);
        variables.push(value("OTEL_RESOURCE_ATTRIBUTES", attributes));
        variables.push(value("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone()));
        variables.push(value(
            "OTEL_TRACES_SAMPLER",
            "parentbased_traceidratio".to_owned(),
        ));
        variables.push(value(
            "OTEL_TRACES_SAMPLER_ARG",
            shop.telemetry.sampling_ratio.to_string(),
        ));
    }
    variables.extend(own.iter().cloned());
    variables
}

fn volumes(shop: &Validated, program: Program) -> Vec<Volume> {
    let secret = |name: &str, secret: String| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let mut volumes = Vec::new();
    if shop.tls {
        volumes.push(secret("tls", program_secret(&shop.name, program)));
    }
    if has_credentials(program) {
        volumes.push(secret(
            "credentials",
            names::credentials(&shop.name, program.name()),
        ));
    }
    if program == Program::UserService {
        volumes.push(secret("admin", credentials::first_admin_secret(&shop.name)));
        volumes.push(secret(
            "signing-keys",
            credentials::signing_keys_secret(&shop.name),
        ));
    }
    volumes
}

fn mounts(shop: &Validated, program: Program) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    if shop.tls {
        mounts.push(mount_read_only("tls", TLS_MOUNTED_AT));
    }
    if has_credentials(program) {
        mounts.push(mount_read_only("credentials", MOUNTED_AT));
    }
    if program == Program::UserService {
        mounts.push(mount_read_only("admin", ADMIN_MOUNTED_AT));
        mounts.push(mount_read_only("signing-keys", SIGNING_KEYS_MOUNTED_AT));
    }
    mounts
}

fn has_credentials(program: Program) -> bool {
    program.database().is_some() || program.uses_broker()
}

/// What a program logs in with and is known by, so that its pods roll when that changes. It would read a new URL by itself,
/// but not when; an old login can be dropped when the pods that had it are gone. A certificate is read at start.
fn credentials_checksum(
    shop: &Validated,
    program: Program,
    secrets: &[Secret],
) -> Option<BTreeMap<String, String>> {
    let names = [
        names::credentials(&shop.name, program.name()),
        program_secret(&shop.name, program),
    ];
    let is_its_own = |secret: &&Secret| {
        secret
            .metadata
            .name
            .as_ref()
            .is_some_and(|name| names.contains(name))
    };
    let mut own = secrets.iter().filter(is_its_own).peekable();
    own.peek()?;
    let mut digest = Sha256::new();
    for secret in own {
        for key in [DATABASE_URL, AMQP_URL, CA, CERTIFICATE] {
            if let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) {
                digest.update(&value.0);
            }
        }
    }
    let digest = digest.finalize();
    let start: [u8; 8] = digest.first_chunk().copied().unwrap_or_default();
    let checksum = format!("{:016x}", u64::from_be_bytes(start));
    Some([("shop-operator.io/credentials-checksum".to_owned(), checksum)].into())
}
