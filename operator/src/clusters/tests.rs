#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn live(kind: Kind, generation: i64, status: &Value) -> DynamicObject {
    let resource = kind.resource();
    let spec = json!({"instances": 3, "replicas": 3});
    let mut object = DynamicObject::new("demo", &resource).data(json!({"spec": spec, "status": status}));
    object.metadata.generation = Some(generation);
    object
}

fn postgres(status: &Value) -> Stage {
    Kind::CloudNativePg.stage(&live(Kind::CloudNativePg, 1, status))
}

fn rabbitmq(generation: i64, status: &Value) -> Stage {
    Kind::RabbitmqCluster.stage(&live(Kind::RabbitmqCluster, generation, status))
}

fn waiting(stage: Stage) -> Cause {
    match stage {
        Stage::Waiting(cause) => cause,
        other => panic!("{other:?}"),
    }
}

fn failed(stage: Stage) -> Cause {
    match stage {
        Stage::Failed(cause) => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_postgres_cluster_is_ready_when_it_says_so_or_its_primary_is() {
    let says_so =
        json!({"phase": "Cluster in healthy state", "conditions": [{"type": "Ready", "status": "True"}]});
    assert_eq!(postgres(&says_so), Stage::Ready);
    let replica_to_come = json!({
        "phase": "Creating a new replica", "conditions": [{"type": "Ready", "status": "False"}],
        "currentPrimary": "demo-1", "targetPrimary": "demo-1",
        "instancesStatus": {"healthy": ["demo-1"], "replicating": ["demo-2"]},
    });
    assert_eq!(postgres(&replica_to_come), Stage::Ready);
}

#[test]
fn a_postgres_cluster_without_a_primary_tells_its_phase() {
    let beginning = json!({
        "phase": "Setting up primary", "phaseReason": "Creating primary instance demo-1",
        "conditions": [{"type": "Ready", "status": "False", "reason": "ClusterIsNotReady"}],
    });
    let cause = waiting(postgres(&beginning));
    assert_eq!(cause.reason, "PostgresClusterNotReady");
    assert_eq!(
        cause.message,
        "Cluster demo: Setting up primary: Creating primary instance demo-1 (0 of 3 instances are ready)"
    );
    let failing_over = json!({
        "phase": "Failing over", "currentPrimary": "demo-1", "targetPrimary": "demo-2", "readyInstances": 2,
        "instancesStatus": {"healthy": ["demo-1", "demo-2"]},
    });
    assert!(
        waiting(postgres(&failing_over))
            .message
            .contains("Failing over (2 of 3")
    );
    let primary_away = json!({
        "phase": "Waiting for the instances to become active", "currentPrimary": "demo-1", "targetPrimary": "demo-1",
        "instancesStatus": {"healthy": ["demo-2"]},
    });
    waiting(postgres(&primary_away));
    let unseen = waiting(postgres(&Value::Null));
    assert!(unseen.message.contains("does it run?"));
    let stuck = json!({"phase": "Cluster is unrecoverable and needs manual intervention"});
    assert_eq!(failed(postgres(&stuck)).reason, "PostgresClusterFailed");
}

fn conditions(replicas: bool, available: bool, reconciled: (&str, &str)) -> Value {
    let status = |is: bool| if is { "True" } else { "False" };
    json!([
        {"type": "AllReplicasReady", "status": status(replicas), "reason": "NotAllPodsReady", "message": "1/3 Pods ready"},
        {"type": "ClusterAvailable", "status": status(available), "reason": "NoEndpointsAvailable"},
        {"type": "NoWarnings", "status": "False", "reason": "MemoryRequestAndLimitDifferent"},
        {"type": "ReconcileSuccess", "status": reconciled.0, "reason": reconciled.1, "message": ""},
    ])
}

#[test]
fn a_rabbitmq_cluster_is_ready_once_all_its_nodes_were() {
    let done = ("True", "Success");
    let all = json!({"observedGeneration": 2, "conditions": conditions(true, true, done)});
    assert_eq!(rabbitmq(2, &all), Stage::Ready);
    let a_node_is_away = json!({"observedGeneration": 2, "conditions": conditions(false, true, done)});
    assert_eq!(rabbitmq(2, &a_node_is_away), Stage::Ready);
    let changed = waiting(rabbitmq(3, &all));
    assert_eq!(
        changed.message,
        "RabbitmqCluster demo: its last change is being made"
    );
}

#[test]
fn a_rabbitmq_cluster_that_begins_tells_its_conditions() {
    let beginning = json!({"conditions": conditions(false, true, ("Unknown", "Initialising"))});
    let cause = waiting(rabbitmq(1, &beginning));
    assert_eq!(cause.reason, "RabbitmqClusterNotReady");
    assert_eq!(
        cause.message,
        "RabbitmqCluster demo: AllReplicasReady is False (NotAllPodsReady: 1/3 Pods ready), \
         ReconcileSuccess is Unknown (Initialising)"
    );
    let nobody =
        json!({"observedGeneration": 1, "conditions": conditions(false, false, ("True", "Success"))});
    assert!(
        waiting(rabbitmq(1, &nobody))
            .message
            .contains("NoEndpointsAvailable")
    );
    assert!(
        waiting(rabbitmq(1, &Value::Null))
            .message
            .contains("does it run?")
    );
    let stuck = json!({"conditions": conditions(true, true, ("False", "UnsupportedOperation"))});
    let cause = failed(rabbitmq(1, &stuck));
    assert_eq!(cause.reason, "RabbitmqClusterFailed");
    assert!(
        cause
            .message
            .contains("ReconcileSuccess is False (UnsupportedOperation)")
    );
}

#[test]
fn one_that_can_be_used_says_what_is_away() {
    let status = json!({
        "phase": "Creating a new replica", "readyInstances": 2,
        "currentPrimary": "demo-1", "targetPrimary": "demo-1", "instancesStatus": {"healthy": ["demo-1"]},
    });
    let cluster = live(Kind::CloudNativePg, 1, &status);
    assert_eq!(Kind::CloudNativePg.stage(&cluster), Stage::Ready);
    let remark = Kind::CloudNativePg.remark(&cluster).unwrap();
    assert_eq!(remark.reason, "PostgresClusterDegraded");
    assert!(
        remark
            .message
            .ends_with("Creating a new replica (2 of 3 instances are ready)")
    );
    let status = json!({"observedGeneration": 1, "conditions": conditions(false, true, ("True", "Success"))});
    let remark = Kind::RabbitmqCluster
        .remark(&live(Kind::RabbitmqCluster, 1, &status))
        .unwrap();
    assert_eq!(remark.reason, "RabbitmqClusterDegraded");
    assert!(remark.message.contains("1/3 Pods ready"));

    let status =
        json!({"phase": "Cluster in healthy state", "conditions": [{"type": "Ready", "status": "True"}]});
    assert_eq!(
        Kind::CloudNativePg.remark(&live(Kind::CloudNativePg, 1, &status)),
        None
    );
    let status = json!({"conditions": conditions(true, true, ("True", "Success"))});
    assert_eq!(
        Kind::RabbitmqCluster.remark(&live(Kind::RabbitmqCluster, 1, &status)),
        None
    );
}

#[test]
fn a_cluster_that_is_being_deleted_is_not_ready() {
    let status = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let mut cluster = live(Kind::CloudNativePg, 1, &status);
    cluster.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(
        waiting(Kind::CloudNativePg.stage(&cluster)).reason,
        "ClusterBeingDeleted"
    );
}

#[test]
fn a_missing_definition_is_named_with_what_to_install() {
    for (kind, reason, definition, documentation) in [
        (
            Kind::CloudNativePg,
            "CloudNativePgMissing",
            "clusters.postgresql.cnpg.io",
            "https://cloudnative-pg.io/",
        ),
        (
            Kind::RabbitmqCluster,
            "RabbitmqClusterOperatorMissing",
            "rabbitmqclusters.rabbitmq.com",
            "https://www.rabbitmq.com/kubernetes/operator/",
        ),
    ] {
        let cause = failed(kind.missing());
        assert_eq!(cause.reason, reason);
        assert!(
            cause.message.contains(definition) && cause.message.contains(documentation),
            "{cause:?}"
        );
    }
}
