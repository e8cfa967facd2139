//! In which order the six Deployments change, and how far they are: pure.
//!
//! What is new is made at once: the services wait for each other. A new version rolls through them one after the other,
//! each before those that call it, and stops at one that does not become healthy: the rest goes on running the old one.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;

use crate::{
    crd::ServiceStatus,
    names::Program,
    status::{Cause, Stage},
};

/// Deployments by name, as the cluster has them.
pub type Live = BTreeMap<String, Arc<Deployment>>;

/// The Deployments to apply now: those desired, with the image that runs where it is not yet a service's turn.
pub fn next_step(desired: &[(Program, Deployment)], live: &Live) -> Vec<Deployment> {
    let mut all_before_done = true;
    let mut step = Vec::with_capacity(desired.len());
    for (_, deployment) in desired {
        let mut deployment = deployment.clone();
        if let Some(running) = live.get(&deployment.name_any()) {
            let changes = image(running) != image(&deployment);
            if changes && !all_before_done {
                set_image(&mut deployment, image(running));
            }
            all_before_done &= !changes && Progress::of(running).is_complete();
        }
        step.push(deployment);
    }
    step
}

/// How the six services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// As a whole.
    pub stage: Stage,
    /// Their pods.
    pub services: BTreeMap<String, ServiceStatus>,
    /// Whether all run what is desired.
    pub settled: bool,
}

/// How far the Deployments are. `why_not` says what keeps a service's pods from being ready, if anything is known.
pub fn overview(
    desired: &[(Program, Deployment)],
    live: &Live,
    why_not: impl Fn(Program) -> Option<Cause>,
) -> Overview {
    let mut services = BTreeMap::new();
    let mut failed = None;
    let mut waiting = Vec::new();
    let mut cause = None;
    for (program, deployment) in desired {
        let running = live.get(&deployment.name_any());
        let progress = running.map(|running| Progress::of(running));
        let wanted = deployment.spec.replicas;
        services.insert(
            program.name().to_owned(),
            ServiceStatus {
                ready: progress.map_or(0, |progress| progress.available),
                desired: progress.map_or(wanted.unwrap_or(1), |progress| progress.desired),
            },
        );
        let is_new = running.is_some_and(|running| image(running) == image(deployment));
        match progress {
            Some(progress) if progress.is_complete() && is_new => continue,
            Some(progress) if progress.has_failed && failed.is_none() => {
                failed = Some(failure(*program, deployment, why_not(*program)));
            }
            _ => {}
        }
        cause = cause.or_else(|| why_not(*program));
        let (updated, wanted) = progress.map_or((0, wanted.unwrap_or(1)), |progress| {
            let updated = if is_new {
                progress.updated_and_available()
            } else {
                0
            };
            (updated, progress.desired)
        });
        waiting.push(format!("{} {updated}/{wanted}", program.name()));
    }
    let settled = waiting.is_empty();
    let stage = match (failed, cause) {
        (Some(cause), _) => Stage::Failed(cause),
        (None, _) if settled => Stage::Ready,
        (None, Some(cause)) => Stage::Waiting(cause),
        (None, None) => Stage::Waiting(Cause::new(
            "RollingOut",
            format!("pods that run what is desired: {}", waiting.join(", ")),
        )),
    };
    Overview {
        stage,
        services,
        settled,
    }
}

fn failure(program: Program, desired: &Deployment, why: Option<Cause>) -> Cause {
    let name = program.name();
    let image = image(desired).unwrap_or_default();
    let why = why.map_or_else(
        || "its pods were not ready in time".to_owned(),
        |cause| cause.message,
    );
    Cause::new(
        "RolloutFailed",
        format!(
            "{name} does not become healthy with {image}, and the services after it are left as they are: {why}"
        ),
    )
}

/// What a Deployment's status says, for its latest spec.
#[derive(Clone, Copy, Debug)]
struct Progress {
    desired: i32,
    all: i32,
    updated: i32,
    available: i32,
    is_observed: bool,
    has_failed: bool,
}

impl Progress {
    fn of(deployment: &Deployment) -> Self {
        let status = deployment.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let is_observed =
            status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0);
        Self {
            desired: deployment.spec.replicas.unwrap_or(1),
            all: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            has_failed: is_observed
                && conditions.iter().any(|condition| {
                    condition.type_.as_deref() == Some("Progressing")
                        && condition.status.as_deref() == Some("False")
                        && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
                }),
            is_observed,
        }
    }

    /// As `kubectl rollout status` sees it.
    fn is_complete(self) -> bool {
        self.is_observed
            && self.updated >= self.desired
            && self.all <= self.updated
            && self.available >= self.updated
    }

    fn updated_and_available(self) -> i32 {
        self.updated.min(self.available).min(self.desired)
    }
}

fn image(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

fn set_image(deployment: &mut Deployment, image: Option<&str>) {
    let pod = deployment.spec.template.spec.as_mut();
    if let Some(container) = pod.and_then(|pod| pod.containers.first_mut()) {
        container.image = image.map(str::to_owned);
    }
}

#[cfg(test)]
mod tests;
