//! The loop that joins it all: what changes in the cluster sets the Shop that it belongs to in the queue, and each Shop
//! in the queue has its turn in [`reconcile`].
//!
//! One Shop's turns never overlap; several Shops have theirs at once, up to a limit. One that fails is tried again by
//! itself, later each time, and stops no other, also when it can't be read or something panics.

mod back_ends;
mod backoff;
mod deletion;
mod fetch;
pub(crate) mod metrics;
mod pods;
mod provisioned;
mod reconcile;
mod report;
mod turns;
mod way_back;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{DeserializeGuard, PartialObjectMeta, error_boundary::InvalidObject},
    runtime::{
        Controller, Predicate as _, PredicateConfig, WatchStreamExt as _,
        controller::{self, Action},
        events::{Recorder, Reporter},
        predicates,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::{
    backoff::Backoff,
    metrics::{Metrics, Queued},
    provisioned::Provisioned,
    reconcile::{Outcome, ReconcileError},
    turns::Turns,
};
use crate::{
    apply::{Applier, FIELD_MANAGER},
    build::Neighbours,
    config::RunArgs,
    crd::{Shop, ShopSpec, ShopStatus},
    limits::Limits,
    observed::ShopName,
    rotation,
    status::{Cause, Findings, conditions},
    watch::{self, Known},
};

/// Changes that come together make one turn.
const TOGETHER: Duration = Duration::from_millis(30);

type GuardedShop = DeserializeGuard<Shop>;

/// What every turn has.
struct Context {
    client: Client,
    shops: Store<GuardedShop>,
    turns: Arc<Turns>,
    shutdown: CancellationToken,
    known: Known,
    storage_classes: Store<PartialObjectMeta<StorageClass>>,
    applier: Applier,
    recorder: Recorder,
    provisioned: Provisioned,
    backoff: Backoff,
    metrics: Metrics,
    neighbours: Neighbours,
    limits: Limits,
    deletion_patience: Duration,
}

impl Context {
    /// Waits until all that a turn decides by was listed once: what is not seen yet would be taken for what is not there, a
    /// cluster's default storage class too, without which data would go with its pod for good.
    async fn wait_until_listed(&self) {
        self.known.wait_until_listed().await;
        // The writer is gone when all ends.
        let _ = self.storage_classes.wait_until_ready().await;
    }

    /// Forgets what it remembers of Shops that are gone.
    fn forget(&self) {
        let uids: std::collections::HashSet<_> = self
            .shops
            .state()
            .iter()
            .filter_map(|shop| shop.meta().uid.clone())
            .collect();
        let is_there = |uid: &str| uids.contains(uid);
        self.turns.forget(is_there);
        self.applier.forget(is_there);
        self.provisioned.forget(is_there);
        self.backoff.forget(is_there);
    }
}

/// Reconciles until it is told to stop; turns that run then are finished.
pub async fn run(client: Client, args: &RunArgs, shutdown: CancellationToken) {
    let namespace = args.watch_namespace.as_deref();
    let (known, changes) = watch::watch(&client, namespace);
    let (storage_classes, class_writer) = reflector::store();
    let classes = watcher(
        Api::<PartialObjectMeta<StorageClass>>::all(client.clone()),
        watcher::Config::default(),
    )
    .default_backoff()
    .reflect(class_writer)
    .touched_objects();
    let shops: Api<GuardedShop> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let (shop_store, shop_writer) = reflector::store();
    let asked = predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers);
    let metrics = Metrics::new();
    let queued = metrics.queued();
    let turns = Arc::new(Turns::new(args.max_concurrent_reconciles));
    // A Shop's own status is no news.
    let asked_for = watcher(shops, watcher::Config::default())
        .default_backoff()
        .modify(|shop| shop.meta_mut().managed_fields = None)
        .reflect(shop_writer)
        .applied_objects()
        .predicate_filter(asked, PredicateConfig::default())
        .inspect_ok({
            let (queued, turns) = (queued.clone(), Arc::clone(&turns));
            move |shop| {
                queued.insert(ObjectRef::from_obj(shop));
                turns.asked();
            }
        });
    let context = Arc::new(Context {
        recorder: Recorder::new(
            client.clone(),
            Reporter {
                controller: FIELD_MANAGER.to_owned(),
                instance: args.pod_name.clone(),
            },
        ),
        applier: Applier::new(client.clone()),
        client,
        shops: shop_store.clone(),
        turns,
        shutdown: shutdown.clone(),
        known,
        storage_classes,
        provisioned: Provisioned::new(args.resync_interval),
        backoff: Backoff::default(),
        metrics,
        neighbours: Neighbours {
            operator: args.lease_namespace.clone(),
            scrapers: args.scraped_from.clone(),
        },
        limits: args.limits.clone(),
        deletion_patience: args.deletion_patience,
    });
    // Who waits, waits for `Turns`: the controller itself lets everyone begin.
    let config = controller::Config::default().debounce(TOGETHER);
    let forgetful = Arc::clone(&context);
    Controller::for_stream(asked_for, shop_store)
        .with_config(config)
        .reconcile_on(changes.filter_map(move |change| future::ready(changed(change, &queued))))
        .watches_stream(classes, |_| None)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(turn, retry, context)
        .for_each(async |ended| match ended {
            Ok(_) => {}
            Err(controller::Error::ObjectNotFound(shop)) => {
                forgetful.metrics.queued().remove(&shop.into_kind_unchecked(()));
                forgetful.forget();
            }
            Err(error) => tracing::warn!(error = %chain(&error), "reconciling failed"),
        })
        .await;
}

/// Queues the Shop whose object changed.
fn changed(change: Result<ShopName, watcher::Error>, queued: &Queued) -> Option<ObjectRef<GuardedShop>> {
    match change {
        Ok(shop) => {
            let shop = ObjectRef::new(&shop.name).within(&shop.namespace);
            queued.insert(shop.clone());
            Some(shop)
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "watching was interrupted, and goes on");
            None
        }
    }
}

/// What stops a turn.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error("a part of the operator panicked; its log says where")]
    Panicked,
}

async fn turn(shop: Arc<GuardedShop>, context: Arc<Context>) -> Result<Action, TurnError> {
    let (uid, reference) = (shop.uid().unwrap_or_default(), ObjectRef::from_obj(&*shop));
    // A thousand may wait here; each looks itself up when it is told to.
    drop(shop);
    let asks = || context.shops.get(&reference).is_some_and(|shop| asks(&shop));
    let next = async {
        context.wait_until_listed().await;
        context.turns.next(&uid, asks).await
    };
    let next = tokio::select! {
        next = next => next,
        // Those that wait are left to the next leader.
        () = context.shutdown.cancelled() => return Ok(Action::await_change()),
    };
    let _turn = match next {
        Ok(turn) => turn,
        Err(rest) => return Ok(Action::requeue(rest)),
    };
    let Some(shop) = context.shops.get(&reference) else {
        return Ok(Action::await_change());
    };
    let _running = context.metrics.begin(&reference);
    let began = Instant::now();
    let ended = AssertUnwindSafe(look_at(&context, &shop)).catch_unwind().await;
    let (name, result) = match ended {
        Ok(Ok(outcome)) => (name_of(outcome), Ok(outcome)),
        Ok(Err(error)) => ("failed", Err(error.into())),
        Err(_) => ("panicked", Err(TurnError::Panicked)),
    };
    context.metrics.ended(name, began.elapsed());
    let outcome = result?;
    if outcome == Outcome::Failed {
        return Ok(Action::requeue(context.backoff.failed(&uid)));
    }
    context.backoff.succeeded(&uid);
    Ok(match outcome {
        // When a server is to be looked at again, and not later.
        Outcome::Settled => Action::requeue(context.provisioned.next_look(&uid)),
        Outcome::Waiting(time) => Action::requeue(time),
        Outcome::Done | Outcome::Failed => Action::await_change(),
    })
}

async fn look_at(context: &Context, shop: &GuardedShop) -> Result<Outcome, ReconcileError> {
    let meta = shop.meta();
    let span = tracing::info_span!(
        "reconcile Shop",
        k8s.namespace.name = meta.namespace,
        shop = meta.name,
        generation = meta.generation
    );
    // In boxes, so that the many who wait for their turn are small.
    let body = async {
        match &shop.0 {
            Ok(shop) => Box::pin(reconcile::reconcile(context, shop)).await,
            Err(invalid) => Box::pin(refuse(context, invalid)).await,
        }
    };
    body.instrument(span).await
}

/// Whether a Shop has a spec that was not looked at yet, or its credentials are to be rotated.
fn asks(shop: &GuardedShop) -> bool {
    let Ok(shop) = &shop.0 else { return false };
    let observed = shop.status.as_ref().and_then(|status| status.observed_generation);
    observed != shop.metadata.generation || shop.annotations().contains_key(rotation::ANNOTATION)
}

#[allow(clippy::needless_pass_by_value, reason = "so the controller calls it")]
fn retry(shop: Arc<GuardedShop>, _: &TurnError, context: Arc<Context>) -> Action {
    Action::requeue(context.backoff.failed(&shop.uid().unwrap_or_default()))
}

fn name_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Settled => "settled",
        Outcome::Waiting(_) => "waiting",
        Outcome::Failed => "failed",
        Outcome::Done => "done",
    }
}

/// A Shop that is none by this operator's definition, for example one of a newer one. Nothing is changed but its status,
/// and that once; one that is deleted is let go.
async fn refuse(context: &Context, invalid: &InvalidObject) -> Result<Outcome, ReconcileError> {
    let message = format!("this operator can't read it: {}", invalid.error);
    let mut shop = Shop::new(
        invalid.metadata.name.as_deref().unwrap_or_default(),
        ShopSpec::default(),
    );
    shop.metadata = invalid.metadata.clone();
    if shop.metadata.deletion_timestamp.is_some() {
        let patience = context.deletion_patience;
        return Ok(deletion::end_unread(context, &shop, &message, patience)
            .await?
            .into());
    }
    // What it said before: not to say it again, and not to lose what else it says.
    let before = report::status_before(context, &shop).await?;
    let generation = shop.metadata.generation.unwrap_or_default();
    let findings = Findings::failed(Cause::new("InvalidSpec", message));
    let status = ShopStatus {
        observed_generation: Some(generation),
        conditions: conditions(&findings, generation, &before.conditions, report::now()),
        ..before.clone()
    };
    shop.status = Some(before);
    report::status(context, &shop, &status).await?;
    Ok(Outcome::Done)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
