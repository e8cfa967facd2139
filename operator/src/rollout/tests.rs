//! What each service's turn is, and what is said of it.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use super::*;

const OLD: &str = "registry/service:1";
const NEW: &str = "registry/service:2";

fn deployment(program: Program, image: &str) -> Deployment {
    let deployment = json!({
        "metadata": {"name": format!("demo-{}", program.name()), "generation": 2},
        "spec": {
            "replicas": 2,
            "selector": {},
            "template": {"spec": {"containers": [{"name": program.name(), "image": image}]}},
        },
    });
    serde_json::from_value(deployment).unwrap()
}

fn running(program: Program, image: &str, available: i32) -> Deployment {
    let mut deployment = deployment(program, image);
    let status =
        json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": available});
    deployment.status = Some(serde_json::from_value(status).unwrap());
    deployment
}

fn desired() -> Vec<(Program, Deployment)> {
    let all = Program::ALL.into_iter();
    all.map(|program| (program, deployment(program, NEW))).collect()
}

fn live(deployments: impl IntoIterator<Item = Deployment>) -> Live {
    let named = |deployment: Deployment| (deployment.name_any(), Running::of(&deployment));
    deployments.into_iter().map(named).collect()
}

fn images(step: &[Deployment]) -> Vec<&str> {
    step.iter().filter_map(image).collect()
}

#[test]
fn what_is_not_there_is_made_at_once() {
    assert_eq!(images(&next_step(&desired(), &Live::new())), [NEW; 6]);
}

#[test]
fn a_new_version_begins_with_the_service_that_calls_nobody() {
    let live = live(Program::ALL.map(|program| running(program, OLD, 2)));
    assert_eq!(
        images(&next_step(&desired(), &live)),
        [NEW, OLD, OLD, OLD, OLD, OLD]
    );
}

#[test]
fn each_comes_before_those_that_call_it() {
    for (place, program) in Program::ALL.into_iter().enumerate() {
        for (callee, _) in program.calls() {
            assert!(
                Program::ALL[..place].contains(callee),
                "{callee:?} comes after {program:?}, which calls it"
            );
        }
    }
}

#[test]
fn the_next_one_waits_until_the_one_before_is_healthy() {
    let mut all = Program::ALL.map(|program| running(program, OLD, 2));
    all[0] = running(Program::ALL[0], NEW, 1);
    assert_eq!(
        images(&next_step(&desired(), &live(all.clone()))),
        [NEW, OLD, OLD, OLD, OLD, OLD]
    );
    all[0] = running(Program::ALL[0], NEW, 2);
    assert_eq!(
        images(&next_step(&desired(), &live(all))),
        [NEW, NEW, OLD, OLD, OLD, OLD]
    );
}

#[test]
fn a_status_of_an_older_spec_says_nothing() {
    let mut all = Program::ALL.map(|program| running(program, OLD, 2));
    all[0] = running(Program::ALL[0], NEW, 2);
    all[0].metadata.generation = Some(3);
    assert_eq!(
        images(&next_step(&desired(), &live(all))),
        [NEW, OLD, OLD, OLD, OLD, OLD]
    );
}

#[test]
fn all_that_run_what_is_desired_are_ready() {
    let live = live(Program::ALL.map(|program| running(program, NEW, 2)));
    let overview = overview(&desired(), &live, |_| None);
    assert_eq!((overview.stage, overview.settled), (Stage::Ready, true));
    assert_eq!(
        overview.services["order-service"],
        ServiceStatus { ready: 2, desired: 2 }
    );
}

#[test]
fn those_that_are_not_there_yet_are_named() {
    let mut all = Program::ALL.map(|program| running(program, NEW, 2));
    all[3] = running(Program::OrderService, NEW, 1);
    let overview = overview(&desired(), &live(all), |_| None);
    let message = "pods that run what is desired: order-service 1/2";
    assert_eq!(overview.stage, Stage::Waiting(Cause::new("RollingOut", message)));
    assert!(!overview.settled);
}

#[test]
fn a_rollout_that_takes_too_long_has_failed_and_says_why() {
    let mut all = Program::ALL.map(|program| running(program, OLD, 2));
    all[0] = running(Program::ProducerService, NEW, 1);
    let condition = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    all[0].status.as_mut().unwrap().conditions = serde_json::from_value(condition).unwrap();
    let why = |program| {
        (program == Program::ProducerService).then(|| Cause::new("CrashLoopBackOff", "pod x: it ends"))
    };
    let Stage::Failed(cause) = overview(&desired(), &live(all), why).stage else {
        panic!("it has not failed");
    };
    assert_eq!(cause.reason, "RolloutFailed");
    assert!(
        cause
            .message
            .starts_with("producer-service does not become healthy with registry/service:2"),
        "{cause:?}"
    );
    assert!(cause.message.ends_with("pod x: it ends"), "{cause:?}");
}

/// Of six pods one would be left until the autoscaler acts, which owns the field from then on.
#[test]
fn a_service_keeps_its_pods_until_its_autoscaler_acts() {
    let mut wanted = desired();
    for (_, deployment) in &mut wanted {
        deployment.spec.replicas = None;
    }
    let replicas = |live: &Live| -> Vec<_> {
        let step = next_step(&wanted, live);
        step.iter().map(|deployment| deployment.spec.replicas).collect()
    };
    assert_eq!(
        replicas(&Live::new()),
        [None; 6],
        "a new one begins with the default"
    );
    let mut all = Program::ALL.map(|program| running(program, NEW, 2));
    for deployment in &mut all {
        deployment.spec.replicas = Some(6);
    }
    assert_eq!(replicas(&live(all.clone())), [Some(6); 6]);
    let scaled = json!([
        {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}},
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
         "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]);
    all[3].metadata.managed_fields = serde_json::from_value(scaled).unwrap();
    let expected = [Some(6), Some(6), Some(6), None, Some(6), Some(6)];
    assert_eq!(replicas(&live(all)), expected);
}

#[test]
fn a_number_of_pods_that_is_asked_for_is_the_number() {
    let mut all = Program::ALL.map(|program| running(program, NEW, 2));
    for deployment in &mut all {
        deployment.spec.replicas = Some(6);
    }
    let step = next_step(&desired(), &live(all));
    assert!(step.iter().all(|deployment| deployment.spec.replicas == Some(2)));
}
