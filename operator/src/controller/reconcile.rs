//! One Shop's turn: fetch → validate → build → apply → status.

use std::time::Duration;

use kube::ResourceExt as _;

use super::{
    Context,
    back_ends::{self, BackEnds},
    deletion,
    fetch::{self, FetchError},
    pods::{is_ending, pods},
    report,
};
use crate::{
    apply::{ApplyError, Owner},
    build::{self, Resources, build, labels},
    crd::{Shop, ShopStatus},
    credentials::{Credentials, CredentialsError},
    diagnosis::diagnose,
    limits::LimitError,
    names::{self, Program},
    rollout::{self, Live, Overview, Running},
    rotation,
    status::{Cause, Findings, Stage, conditions, paused},
    validate::{Validated, ValidationError, validate},
};

/// How long to wait for something that nobody reports: an image that can't be pulled, a data store that starts.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why a reconciliation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// The API server, or somebody else's object of the name.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// What it begins with can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What is asked for makes no sense.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// What is asked for is not to be had here.
    #[error(transparent)]
    Limited(#[from] LimitError),
    /// What somebody wrote into a Secret can't be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl ReconcileError {
    fn cause(&self) -> Cause {
        let reason = match self {
            Self::Apply(error) => error.reason(),
            Self::Fetch(error) => error.reason(),
            Self::Invalid(_) => "InvalidSpec",
            Self::Limited(_) => "NotAllowed",
            Self::Credentials(_) => "CredentialsUnfit",
        };
        Cause::new(reason, self.to_string())
    }
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The Shop is as it should be.
    Settled,
    /// It is on its way.
    Waiting(Duration),
    /// It needs somebody, or a server that is away.
    Failed,
    /// It is gone, or to be left alone.
    Done,
}

/// Makes the cluster and the back ends hold what a Shop asks for, and says in its status how far that is.
pub(super) async fn reconcile(context: &Context, shop: &Shop) -> Result<Outcome, ReconcileError> {
    if shop.metadata.deletion_timestamp.is_some() {
        return Ok(deletion::end(context, shop, context.deletion_patience)
            .await?
            .into());
    }
    let before = shop.status.clone().unwrap_or_default();
    if shop.spec.paused {
        let status = ShopStatus {
            observed_generation: shop.metadata.generation,
            conditions: paused(generation(shop), &before.conditions, report::now()),
            ..before
        };
        report::status(context, shop, &status).await?;
        return Ok(Outcome::Done);
    }
    let turn = match Box::pin(work(context, shop)).await {
        Ok(turn) => turn,
        Err(error) => {
            let status = ShopStatus {
                observed_generation: shop.metadata.generation,
                conditions: conditions(
                    &Findings::failed(error.cause()),
                    generation(shop),
                    &before.conditions,
                    report::now(),
                ),
                ..before
            };
            report::status(context, shop, &status).await?;
            return Err(error);
        }
    };
    report::changes(context, shop, &turn.back_ends.changes).await;
    report::status(context, shop, &turn.status(shop, &before)).await?;
    Ok(turn.outcome())
}

/// What a turn found.
struct Turn {
    validated: Validated,
    back_ends: BackEnds,
    overview: Overview,
    live: Live,
    identity: String,
    /// Whether logins are left that are to be given up.
    is_rotating: bool,
}

async fn work(context: &Context, shop: &Shop) -> Result<Turn, ReconcileError> {
    let validated = validate(shop)?;
    context.limits.check(&validated)?;
    deletion::guard(context, shop, &validated).await?;
    let fetched = fetch::fetch(context, &validated).await?;
    let mut credentials = Credentials::complete(&validated, &fetched.existing, report::now())?;
    let asked = shop.annotations().contains_key(rotation::ANNOTATION);
    let due = credentials.is_due(validated.rotation, report::now());
    if (asked || due) && !credentials.is_rotating() {
        credentials.prepare(report::now());
    }
    let mut resources = build(&validated, &credentials, &fetched.surroundings);
    let owner = Owner {
        shop: validated.shop_name(),
        uid: validated.owner.uid.clone(),
    };
    apply_stores(context, &owner, &resources).await?;
    if asked {
        // What is asked for is kept in the Secrets now.
        report::rotation_has_begun(context, shop).await?;
    }
    let back_ends =
        back_ends::provision(context, &owner, &validated, &credentials, &fetched, &resources).await;

    if back_ends.are_ready() && credentials.promote() {
        resources = build(&validated, &credentials, &fetched.surroundings);
        context
            .applier
            .apply(&owner, &context.known.secrets, &resources.foundation.secrets)
            .await?;
    }

    let mut live = live(context, &validated, &resources);
    let all_there = live.len() == resources.services.deployments.len();
    let overview = if all_there || back_ends.are_ready() {
        apply_services(context, &owner, &resources, &mut live).await?;
        prune(context, &owner, &resources).await?;
        let desired = &resources.services.deployments;
        let overview = rollout::overview(desired, &live, |_| None);
        // A pod that ends still answers for a while, and with the login that it began with.
        let before = !credentials.previous.is_empty();
        if before && overview.settled && !is_ending(&pods(context, &validated).await?) {
            // The next turn, which this wakes, drops them on their servers.
            credentials.retire();
            let secrets = build(&validated, &credentials, &fetched.surroundings)
                .foundation
                .secrets;
            context
                .applier
                .apply(&owner, &context.known.secrets, &secrets)
                .await?;
            report::rotated(context, shop).await;
        }
        if overview.settled {
            overview
        } else {
            let pods = pods(context, &validated).await?;
            rollout::overview(desired, &live, |program| {
                diagnose(pods.get(program.name()).into_iter().flatten())
            })
        }
    } else {
        let overview = rollout::overview(&resources.services.deployments, &live, |_| None);
        Overview {
            stage: Stage::NotReached,
            settled: false,
            ..overview
        }
    };
    let back_ends = if back_ends.are_ready() {
        back_ends
    } else {
        let pods = pods(context, &validated).await?;
        back_ends.with_causes(|part| diagnose(pods.get(part).into_iter().flatten()))
    };
    Ok(Turn {
        validated,
        back_ends,
        overview,
        live,
        is_rotating: credentials.is_rotating(),
        identity: credentials.identity,
    })
}

/// Secrets and the like, then the data stores.
async fn apply_stores(context: &Context, owner: &Owner, resources: &Resources) -> Result<(), ApplyError> {
    let (applier, known) = (&context.applier, &context.known);
    let Resources {
        foundation,
        data_stores,
        ..
    } = resources;
    applier.apply(owner, &known.secrets, &foundation.secrets).await?;
    // All of them, whatever becomes of one; what is told of is the first, not whichever was refused first.
    let (accounts, policies, services, stores) = tokio::join!(
        applier.apply(owner, &known.service_accounts, &foundation.service_accounts),
        applier.apply(owner, &known.network_policies, &foundation.network_policies),
        applier.apply(owner, &known.services, &data_stores.services),
        applier.apply(owner, &known.stateful_sets, &data_stores.stateful_sets),
    );
    accounts?;
    policies?;
    services?;
    stores?;
    Ok(())
}

async fn apply_services(
    context: &Context,
    owner: &Owner,
    resources: &Resources,
    live: &mut Live,
) -> Result<(), ApplyError> {
    let (applier, known) = (&context.applier, &context.known);
    let wanted = &resources.services;
    let step = rollout::next_step(&wanted.deployments, live);
    let (deployments, services, budgets, autoscalers, ingresses) = tokio::join!(
        applier.apply(owner, &known.deployments, &step),
        applier.apply(owner, &known.services, &wanted.services),
        applier.apply(
            owner,
            &known.pod_disruption_budgets,
            &wanted.pod_disruption_budgets
        ),
        applier.apply(owner, &known.autoscalers, &wanted.autoscalers),
        applier.apply(owner, &known.ingresses, &wanted.ingresses),
    );
    let written = deployments?;
    services?;
    budgets?;
    autoscalers?;
    ingresses?;
    // What was written just now is not seen by the watch yet.
    live.extend(
        written
            .into_iter()
            .map(|written| (written.name_any(), Running::of(&written))),
    );
    Ok(())
}

/// Removes what the Shop asks for no longer.
async fn prune(context: &Context, owner: &Owner, resources: &Resources) -> Result<(), ApplyError> {
    let (applier, known) = (&context.applier, &context.known);
    let Resources {
        foundation,
        data_stores,
        services,
    } = resources;
    let all_services: Vec<_> = data_stores
        .services
        .iter()
        .chain(&services.services)
        .cloned()
        .collect();
    let deployments = services
        .deployments
        .iter()
        .map(|(_, deployment)| deployment.clone());
    let deployments: Vec<_> = deployments.collect();
    applier.prune(owner, &known.secrets, &foundation.secrets).await?;
    applier
        .prune(owner, &known.service_accounts, &foundation.service_accounts)
        .await?;
    applier
        .prune(owner, &known.network_policies, &foundation.network_policies)
        .await?;
    applier.prune(owner, &known.services, &all_services).await?;
    applier
        .prune(owner, &known.stateful_sets, &data_stores.stateful_sets)
        .await?;
    applier.prune(owner, &known.deployments, &deployments).await?;
    applier
        .prune(
            owner,
            &known.pod_disruption_budgets,
            &services.pod_disruption_budgets,
        )
        .await?;
    applier
        .prune(owner, &known.autoscalers, &services.autoscalers)
        .await?;
    applier
        .prune(owner, &known.ingresses, &services.ingresses)
        .await?;
    Ok(())
}

fn live(context: &Context, shop: &Validated, resources: &Resources) -> Live {
    let names = resources
        .services
        .deployments
        .iter()
        .map(|(_, deployment)| deployment.name_any());
    let shop = shop.shop_name();
    names
        .filter_map(|name| Some((name.clone(), context.known.running(&shop, &name)?)))
        .collect()
}

fn generation(shop: &Shop) -> i64 {
    shop.metadata.generation.unwrap_or_default()
}

impl Turn {
    fn findings(&self) -> Findings {
        Findings {
            database: self.back_ends.database.clone(),
            messaging: self.back_ends.messaging.clone(),
            services: self.overview.stage.clone(),
        }
    }

    fn status(&self, shop: &Shop, before: &ShopStatus) -> ShopStatus {
        let generation = generation(shop);
        let name = names::object(&self.validated.name, Program::ApiGateway.name());
        let selector = labels(&self.validated.name, Program::ApiGateway.name());
        let selector = selector.iter().map(|(key, value)| format!("{key}={value}"));
        ShopStatus {
            observed_generation: Some(generation),
            conditions: conditions(&self.findings(), generation, &before.conditions, report::now()),
            url: Some(build::url(&self.validated)),
            version: if self.overview.settled {
                Some(self.validated.version.clone())
            } else {
                before.version.clone()
            },
            services: self.overview.services.clone(),
            identity: Some(self.identity.clone()),
            dead_letters: self
                .back_ends
                .dead_letters
                .and_then(|count| i64::try_from(count).ok())
                .or(before.dead_letters),
            gateway_replicas: Some(self.live.get(&name).map_or(0, Running::pods)),
            gateway_selector: Some(selector.collect::<Vec<_>>().join(",")),
        }
    }

    fn outcome(&self) -> Outcome {
        let findings = self.findings();
        let stages = [&findings.database, &findings.messaging, &findings.services];
        if stages.iter().any(|stage| matches!(stage, Stage::Failed(_))) {
            Outcome::Failed
        } else if stages.iter().all(|stage| stage.is_ready()) && !self.is_rotating {
            Outcome::Settled
        } else {
            Outcome::Waiting(LOOK_AGAIN)
        }
    }
}
