//! How many pods may be away, and how many there are.

use k8s_openapi::{
    api::{
        autoscaling::v2::{
            CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
            MetricTarget, ResourceMetricSource,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{owned, selector};
use crate::{
    clusters::rabbitmq,
    crd::RabbitmqCluster,
    names::{self, Program},
    validate::{MessagingBackend, Replicas, Validated},
};

/// One pod at a time may be taken away, of every service that has more than one. Where there is just one, a budget would
/// only keep its node from ever being drained.
pub(super) fn budgets(shop: &Validated) -> Vec<PodDisruptionBudget> {
    let several = |program: &Program| shop.workloads[program].replicas.least() > 1;
    let of_program = |program: Program| budget(shop, program.name(), selector(shop, program.name()));
    let programs = Program::ALL.into_iter().filter(several).map(of_program);
    programs.chain(budget_of_rabbitmq_cluster(shop)).collect()
}

/// The RabbitMQ Cluster Operator leaves this to others; CloudNativePG does not.
/// <https://www.rabbitmq.com/kubernetes/operator/using-operator#set-pdb>
fn budget_of_rabbitmq_cluster(shop: &Validated) -> Option<PodDisruptionBudget> {
    let MessagingBackend::RabbitmqCluster(RabbitmqCluster { replicas: 2.., .. }) = &shop.messaging else {
        return None;
    };
    let nodes = LabelSelector {
        match_labels: Some(rabbitmq::pod_labels(&shop.name)),
        ..LabelSelector::default()
    };
    Some(budget(shop, names::RABBITMQ, nodes))
}

fn budget(shop: &Validated, part: &str, pods: LabelSelector) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owned(shop, names::object(&shop.name, part), part),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(pods),
            // A pod that is not ready protects nothing.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

pub(super) fn autoscalers(shop: &Validated) -> Vec<HorizontalPodAutoscaler> {
    let autoscaler = |program: Program| {
        let Replicas::Autoscaled(autoscaling) = shop.workloads[&program].replicas else {
            return None;
        };
        let name = names::object(&shop.name, program.name());
        Some(HorizontalPodAutoscaler {
            metadata: owned(shop, name.clone(), program.name()),
            spec: HorizontalPodAutoscalerSpec {
                min_replicas: Some(autoscaling.min_replicas),
                max_replicas: autoscaling.max_replicas,
                scale_target_ref: CrossVersionObjectReference {
                    api_version: Some("apps/v1".to_owned()),
                    kind: "Deployment".to_owned(),
                    name,
                },
                metrics: Some(vec![MetricSpec {
                    type_: "Resource".to_owned(),
                    resource: Some(ResourceMetricSource {
                        name: "cpu".to_owned(),
                        target: MetricTarget {
                            type_: "Utilization".to_owned(),
                            average_utilization: Some(autoscaling.target_cpu_utilization_percentage),
                            ..MetricTarget::default()
                        },
                    }),
                    ..MetricSpec::default()
                }]),
                ..HorizontalPodAutoscalerSpec::default()
            },
            status: None,
        })
    };
    Program::ALL.into_iter().filter_map(autoscaler).collect()
}
