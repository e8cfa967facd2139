//! What all pods have in common: the restricted rules of Kubernetes' pod security standards, and probes.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ContainerPort, EmptyDirVolumeSource, HTTPGetAction, LocalObjectReference,
        PodSecurityContext, PodSpec, Probe, SeccompProfile, SecurityContext, TCPSocketAction, Volume,
        VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::validate::{Placement, Validated};

/// A pod of a user, with what every pod has.
pub(super) fn of(shop: &Validated, user: i64, placement: &Placement) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(restricted(user)),
        image_pull_secrets: pull_secrets(shop),
        node_selector: Some(placement.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: Some(placement.tolerations.clone()).filter(|tolerations| !tolerations.is_empty()),
        affinity: placement.affinity.clone(),
        ..PodSpec::default()
    }
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
fn restricted(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// What a node pulls images with.
fn pull_secrets(shop: &Validated) -> Option<Vec<LocalObjectReference>> {
    let names = shop.image.pull_secrets.iter();
    let secrets: Vec<_> = names
        .map(|name| LocalObjectReference { name: name.clone() })
        .collect();
    Some(secrets).filter(|secrets| !secrets.is_empty())
}

/// A container that may nothing, and writes only to its volumes.
pub(super) fn unprivileged() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// A named port.
pub(super) fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        ..ContainerPort::default()
    }
}

/// Asks a path of a named port every `period` seconds; amiss after `failures` times in a row.
pub(super) fn http(path: &str, port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

/// Connects to a named port every `period` seconds.
pub(super) fn tcp(port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String(port.to_owned()),
            ..TCPSocketAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

/// A folder that goes with the pod.
pub(super) fn scratch(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

/// A volume at a path, to write to.
pub(super) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

/// A volume at a path, to read.
pub(super) fn mount_read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..mount(name, path)
    }
}
