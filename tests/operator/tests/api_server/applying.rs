//! Objects are written when they differ, and only then.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::{
    api::core::v1::{Secret, Service},
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use shop_operator::{
    apply::{Applier, ApplyError, Owner},
    build::{DataStores, Resources, Surroundings, build},
    crd::Shop,
    credentials::Credentials,
    existing::Existing,
    observed::ShopName,
    validate::validate,
    watch::{Known, watch},
};

use crate::cluster::{TestNamespace, connect};

/// A Shop in the cluster, and what the operator knows of its objects.
struct World {
    client: Client,
    namespace: TestNamespace,
    owner: Owner,
    known: Known,
    applier: Applier,
    resources: Resources,
    watching: tokio::task::JoinHandle<()>,
}

impl World {
    async fn create(name: &str) -> Self {
        let client = connect().await;
        let namespace = TestNamespace::create(&client).await;
        let shops: Api<Shop> = Api::namespaced(client.clone(), &namespace.name);
        let shop = Shop::new(name, shop_operator::crd::ShopSpec::default());
        let shop = shops.create(&PostParams::default(), &shop).await.unwrap();
        let validated = validate(&shop).unwrap();
        let credentials = Credentials::complete(&validated, &Existing::new(), Timestamp::now()).unwrap();
        let (known, changes) = watch(&client, Some(&namespace.name));
        let watching = tokio::spawn(async move {
            changes.for_each(async |_| {}).await;
        });
        known.wait_until_listed().await;
        Self {
            applier: Applier::new(client.clone()),
            owner: Owner {
                shop: ShopName {
                    namespace: namespace.name.clone(),
                    name: name.to_owned(),
                },
                uid: shop.uid().unwrap(),
            },
            resources: build(&validated, &credentials, &Surroundings::default()),
            client,
            namespace,
            known,
            watching,
        }
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.namespace.name)
    }

    /// Applies Services and Secrets; says how many it wrote.
    async fn apply(&self) -> Result<usize, ApplyError> {
        let DataStores { services, .. } = &self.resources.data_stores;
        let secrets = &self.resources.foundation.secrets;
        let written = self
            .applier
            .apply(&self.owner, &self.known.services, services)
            .await?
            .len()
            + self
                .applier
                .apply(&self.owner, &self.known.secrets, secrets)
                .await?
                .len();
        Ok(written)
    }

    /// Until the watches have seen what was written, an object may be applied once more; then never again.
    async fn settle(&self) {
        for _ in 0..100 {
            if self.apply().await.unwrap() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not settle");
    }

    /// Applies until something is written, which takes until the watches have seen what is amiss.
    async fn mend(&self, seen: &str) {
        let written = async {
            while self.apply().await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), written)
            .await
            .expect(seen);
    }

    async fn end(self) {
        self.watching.abort();
        self.namespace.delete().await;
    }
}

#[tokio::test]
async fn a_settled_shop_is_not_written_and_a_touched_one_is_mended() {
    let world = World::create("settled").await;
    let objects = world.resources.data_stores.services.len() + world.resources.foundation.secrets.len();
    assert_eq!(world.apply().await.unwrap(), objects);
    world.settle().await;
    let name = world.resources.data_stores.services[0].name_any();
    let before = world.services().get(&name).await.unwrap();
    world.settle().await;
    let touched = json!({"spec": {"selector": {"app.kubernetes.io/name": "something-else"}}});
    let patch = Patch::Merge(&touched);
    world
        .services()
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    world.mend("the change is seen").await;
    let mended = world.services().get(&name).await.unwrap();
    assert_eq!(mended.spec.unwrap().selector, before.spec.unwrap().selector);
    world.settle().await;
    world
        .services()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    world.mend("the deletion is seen").await;
    assert!(world.services().get_opt(&name).await.unwrap().is_some());
    world.end().await;
}

#[tokio::test]
async fn a_new_operator_changes_nothing_that_is_as_it_should_be() {
    let mut world = World::create("restarted").await;
    world.apply().await.unwrap();
    world.settle().await;
    let name = world.resources.data_stores.services[0].name_any();
    let before = world.services().get(&name).await.unwrap().resource_version();
    world.applier = Applier::new(world.client.clone());
    world.settle().await;
    assert_eq!(
        world.services().get(&name).await.unwrap().resource_version(),
        before
    );
    world.end().await;
}

#[tokio::test]
async fn what_is_wanted_no_longer_goes_and_what_is_kept_stays() {
    let world = World::create("pruned").await;
    world.apply().await.unwrap();
    world.settle().await;
    let none: [Service; 0] = [];
    let pruned = world
        .applier
        .prune(&world.owner, &world.known.services, &none)
        .await
        .unwrap();
    assert_eq!(pruned, world.resources.data_stores.services.len());
    assert_eq!(
        world
            .services()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        0
    );
    // Credentials outlive their Shop, and so even a spec that wants none of them. Certificates do not.
    let made = &world.resources.foundation.secrets;
    let outlives = |secret: &&Secret| secret.metadata.owner_references.is_none();
    let kept: BTreeSet<_> = made.iter().filter(outlives).map(Secret::name_any).collect();
    assert!(!kept.is_empty() && kept.len() < made.len(), "{kept:?}");
    let none: [Secret; 0] = [];
    let pruned = world
        .applier
        .prune(&world.owner, &world.known.secrets, &none)
        .await
        .unwrap();
    assert_eq!(pruned, made.len() - kept.len());
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.owner.shop.namespace);
    let left = secrets.list(&ListParams::default()).await.unwrap();
    let left: BTreeSet<_> = left.iter().map(Secret::name_any).collect();
    assert_eq!(left, kept);
    world.end().await;
}

#[tokio::test]
async fn somebody_elses_object_is_not_taken_over() {
    let world = World::create("taken").await;
    let mut foreign = world.resources.data_stores.services[0].clone();
    foreign.metadata.owner_references = None;
    foreign.metadata.labels = None;
    world
        .services()
        .create(&PostParams::default(), &foreign)
        .await
        .unwrap();
    let error = world.apply().await.unwrap_err();
    assert!(
        matches!(&error, ApplyError::Taken { kind, name } if kind == "Service" && *name == foreign.name_any())
    );
    assert!(error.to_string().contains("belongs to somebody else"), "{error}");
    world.end().await;
}
