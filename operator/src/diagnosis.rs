//! What keeps a pod from being ready, in words for a person: pure, from what the cluster says about the pod.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

use crate::status::Cause;

/// The first reason that is found among these pods.
pub fn diagnose<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<Cause> {
    pods.into_iter().find_map(of_pod)
}

fn of_pod(pod: &Pod) -> Option<Cause> {
    let status = pod.status.as_ref()?;
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let message = condition.message.clone().unwrap_or_default();
        return Some(cause(pod, "Unschedulable", &message));
    }
    status
        .container_statuses
        .iter()
        .flatten()
        .find_map(|container| of_container(pod, container))
}

fn of_container(pod: &Pod, container: &ContainerStatus) -> Option<Cause> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = known(waiting.reason.as_deref()?)?;
    let mut message = waiting.message.clone().unwrap_or_default();
    let ended = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    if let Some(ended) = ended {
        let why = ended.reason.as_deref().unwrap_or("it ended");
        message = format!(
            "{message} (last exit code {}, {why}; see its log)",
            ended.exit_code
        );
    }
    Some(cause(pod, reason, &message))
}

fn cause(pod: &Pod, reason: &'static str, message: &str) -> Cause {
    Cause::new(reason, format!("pod {}: {reason}: {message}", pod.name_any()))
}

/// Those reasons of the kubelet that do not go away while one waits, mostly.
fn known(reason: &str) -> Option<&'static str> {
    const KNOWN: [&str; 8] = [
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    ];
    KNOWN.into_iter().find(|known| *known == reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &serde_json::Value) -> Pod {
        let pod = json!({"metadata": {"name": "demo-order-service-1"}, "spec": {"containers": []}, "status": status});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn an_image_that_is_not_there_is_named() {
        let pod = pod(&json!({"containerStatuses": [{
            "name": "order-service", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImageNeverPull", "message": "no image \"x:9\""}},
        }]}));
        let cause = diagnose([&pod]).unwrap();
        assert_eq!(cause.reason, "ErrImageNeverPull");
        assert_eq!(
            cause.message,
            "pod demo-order-service-1: ErrImageNeverPull: no image \"x:9\""
        );
    }

    #[test]
    fn a_process_that_ends_is_named_with_its_exit_code() {
        let pod = pod(&json!({"containerStatuses": [{
            "name": "order-service", "image": "x", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
        }]}));
        let cause = diagnose([&pod]).unwrap();
        assert_eq!(cause.reason, "CrashLoopBackOff");
        assert!(
            cause
                .message
                .ends_with("back-off 40s (last exit code 1, Error; see its log)"),
            "{cause:?}"
        );
    }

    #[test]
    fn a_pod_without_a_place_is_named() {
        let pod = pod(&json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
        }]}));
        assert_eq!(diagnose([&pod]).unwrap().reason, "Unschedulable");
    }

    #[test]
    fn a_pod_that_starts_is_no_news() {
        let pod = pod(&json!({"containerStatuses": [{
            "name": "order-service", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}},
        }]}));
        assert_eq!(diagnose([&pod]), None);
    }
}
