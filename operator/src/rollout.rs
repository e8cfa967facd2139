//! In which order the six Deployments change, and how far they are: pure.
//!
//! What is new is made at once: the services wait for each other. A new version rolls through them one after the other,
//! each before those that call it, and stops at one that does not become healthy: the rest goes on running the old one.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use kube::ResourceExt as _;

use crate::{
    crd::ServiceStatus,
    names::Program,
    status::{Cause, Stage},
};

/// Deployments by name, as the cluster has them.
pub type Live = BTreeMap<String, Running>;

/// The Deployments to apply now: those desired, with the image that runs where it is not yet a service's turn, and with the
/// pods that run where an autoscaler has not said yet how many there are to be. To a field that nobody owns the API server
/// gives its default, and of six pods there would be one until the autoscaler acts.
pub fn next_step(desired: &[(Program, Deployment)], live: &Live) -> Vec<Deployment> {
    let mut all_before_done = true;
    let mut step = Vec::with_capacity(desired.len());
    for (_, deployment) in desired {
        let mut deployment = deployment.clone();
        if let Some(running) = live.get(&deployment.name_any()) {
            let changes = running.image.as_deref() != image(&deployment);
            if changes && !all_before_done {
                set_image(&mut deployment, running.image.as_deref());
            }
            all_before_done &= !changes && running.progress.is_complete();
            if deployment.spec.replicas.is_none() && !running.is_scaled {
                deployment.spec.replicas = Some(running.progress.desired);
            }
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
        let progress = running.map(|running| running.progress);
        let wanted = deployment.spec.replicas;
        services.insert(
            program.name().to_owned(),
            ServiceStatus {
                ready: progress.map_or(0, |progress| progress.available),
                desired: progress.map_or(wanted.unwrap_or(1), |progress| progress.desired),
            },
        );
        let is_new = running.is_some_and(|running| running.image.as_deref() == image(deployment));
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

/// What decides about a Deployment that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    image: Option<String>,
    progress: Progress,
    /// Whether somebody has set the number of pods by the subresource for that, as autoscalers do.
    is_scaled: bool,
}

impl Running {
    /// As the Deployment says.
    pub fn of(deployment: &Deployment) -> Self {
        Self {
            image: image(deployment).map(str::to_owned),
            progress: Progress::of(deployment),
            is_scaled: is_scaled(deployment),
        }
    }

    /// How many pods there are, old ones included.
    pub fn pods(&self) -> i32 {
        self.progress.all
    }
}

/// What a Deployment's status says, for its latest spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let generation = deployment.metadata.generation.unwrap_or(0);
        let status = deployment.status.as_ref();
        let number = |of: fn(&DeploymentStatus) -> Option<i32>| status.and_then(of).unwrap_or(0);
        let is_observed = status.is_some_and(|status| status.observed_generation.unwrap_or(0) >= generation);
        let mut conditions = status
            .into_iter()
            .flat_map(|status| status.conditions.iter().flatten());
        Self {
            desired: deployment.spec.replicas.unwrap_or(1),
            all: number(|status| status.replicas),
            updated: number(|status| status.updated_replicas),
            available: number(|status| status.available_replicas),
            has_failed: is_observed
                && conditions.any(|condition| {
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

/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>
fn is_scaled(deployment: &Deployment) -> bool {
    let mut entries = deployment.metadata.managed_fields.iter().flatten();
    entries.any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        entry.subresource.as_deref() == Some("scale")
            && fields.is_some_and(|fields| !fields["f:spec"]["f:replicas"].is_null())
    })
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
