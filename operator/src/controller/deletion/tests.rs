#![allow(clippy::unwrap_used)]

use kube::runtime::watcher::Event;
use serde_json::Value;

use super::*;
use crate::{memory_api_server::ApiServer, observed::Sighting};

const SHOP: &str = "/apis/shop-operator.io/v1alpha1/namespaces/shops/shops/demo";
const SECRETS: &str = "/api/v1/namespaces/shops/secrets";
const CLUSTER: &str = "/apis/postgresql.cnpg.io/v1/namespaces/shops/clusters/demo-postgres";
const STATEFUL_SET: &str = "/apis/apps/v1/namespaces/shops/statefulsets/demo-rabbitmq";
const PATIENCE: Duration = Duration::from_mins(5);

/// One that was deleted some minutes ago and still has the finalizer.
fn deleted(spec: &Value, minutes_ago: i64) -> Shop {
    let at = Timestamp::from_second(Timestamp::now().as_second() - minutes_ago * 60).unwrap();
    let shop = json!({
        "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
        "metadata": {
            "name": "demo", "namespace": "shops", "uid": "1", "resourceVersion": "7",
            "finalizers": ["others.example/own", FINALIZER], "deletionTimestamp": at.to_string(),
        },
        "spec": spec,
    });
    serde_json::from_value(shop).unwrap()
}

fn object(kind: &str, name: &str) -> Value {
    let owner = json!({"apiVersion": "v1", "kind": "Shop", "name": "demo", "uid": "1", "controller": true});
    let other = json!({"apiVersion": "v1", "kind": "Other", "name": "other", "uid": "2"});
    json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {
            "name": name, "namespace": "shops", "resourceVersion": "3", "generation": 2,
            "labels": {"app.kubernetes.io/managed-by": "shop-operator", "app.kubernetes.io/instance": "demo"},
            "ownerReferences": [owner, other],
        },
        "spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
        "status": {"observedGeneration": 1},
    })
}

/// What a Shop with its data in Kubernetes has.
fn populated() -> ApiServer {
    let server = ApiServer::default()
        .with(
            SHOP,
            json!({"metadata": {"name": "demo", "namespace": "shops"}, "spec": {}}),
        )
        .with(CLUSTER, object("Cluster", "demo-postgres"))
        .with(STATEFUL_SET, object("StatefulSet", "demo-rabbitmq"));
    for name in ["demo-identity", "demo-user-service-credentials", "demo-ca"] {
        server.put(&format!("{SECRETS}/{name}"), object("Secret", name));
    }
    server
}

fn context(server: &ApiServer) -> Context {
    let (mut context, mut secrets) = Context::for_tests(server.client());
    for name in ["demo-identity", "demo-user-service-credentials", "demo-ca"] {
        let secret: Secret = serde_json::from_value(object("Secret", name)).unwrap();
        secrets.see(Event::Apply(Sighting::of(&secret.metadata, ())));
    }
    context.deletion_patience = PATIENCE;
    context
}

/// Whether the operator's finalizer is taken away, and another's left.
fn is_released(server: &ApiServer) -> bool {
    let shop = server.object(SHOP).unwrap();
    match shop["metadata"].get("finalizers") {
        None => false,
        Some(left) => {
            assert_eq!(*left, json!(["others.example/own"]));
            true
        }
    }
}

fn owners(server: &ApiServer, path: &str) -> usize {
    let object = server.object(path).unwrap();
    object["metadata"]["ownerReferences"].as_array().unwrap().len()
}

fn external(policy: &str) -> Value {
    json!({
        "deletionPolicy": policy,
        "database": {"external": {"host": "127.0.0.1", "port": 1, "tls": "disable", "adminSecret": {"name": "postgres"}}},
        "messaging": {"external": {
            "amqp": "amqp://127.0.0.1:1", "management": "http://127.0.0.1:1", "adminSecret": {"name": "rabbitmq"},
        }},
    })
}

/// A Secret that may be labelled for a Shop.
fn administrator(of: Option<&str>) -> Value {
    let labels = of.map_or_else(|| json!({}), |shop| json!({"shop-operator.io/for": shop}));
    json!({"metadata": {"name": "x", "labels": labels}, "data": {"username": "YQ==", "password": "YQ=="}})
}

/// It asked for Delete while there was an operator, and for Retain when there was none.
#[tokio::test]
async fn what_is_to_be_kept_is_read_at_the_end() {
    let server = populated();
    let context = context(&server);
    let shop = deleted(&external("Retain"), 0);
    // Kubernetes has to take note of it, or the claims would go with their StatefulSet.
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::NotYet);
    assert!(!is_released(&server));
    let mut set = server.object(STATEFUL_SET).unwrap();
    assert_eq!(
        set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"],
        "Retain"
    );
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::NotYet);
    set["status"]["observedGeneration"] = json!(2);
    server.put(STATEFUL_SET, set);
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::Released);
    assert!(is_released(&server));
    for kept in [
        CLUSTER,
        &format!("{SECRETS}/demo-identity"),
        &format!("{SECRETS}/demo-user-service-credentials"),
    ] {
        assert_eq!(owners(&server, kept), 1, "{kept}");
    }
    assert_eq!(
        owners(&server, &format!("{SECRETS}/demo-ca")),
        2,
        "certificates go"
    );
    // Nobody went to the servers: it would be told that they can't be reached.
    assert_eq!(server.events(), Vec::<Value>::new());
}

#[tokio::test]
async fn both_servers_are_tried_and_told() {
    let secret = administrator(Some("demo"));
    let server = populated()
        .with(&format!("{SECRETS}/postgres"), secret.clone())
        .with(&format!("{SECRETS}/rabbitmq"), secret);
    let context = context(&server);
    let shop = deleted(&external("Delete"), 0);
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::NotYet);
    let events = server.events();
    let note = events[0]["note"].as_str().unwrap();
    assert!(note.contains("PostgreSQL") && note.contains("RabbitMQ"), "{note}");
    // For ever it does not hold the Shop.
    let shop = deleted(&external("Delete"), 10);
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::Released);
    let events = server.events();
    let last = events.last().unwrap();
    assert_eq!(last["reason"], "LeftBehind");
    let note = last["note"].as_str().unwrap();
    assert!(note.contains("PostgreSQL") && note.contains("RabbitMQ"), "{note}");
}

/// Its administrator's Secret is away, which is in nobody else's way.
#[tokio::test]
async fn one_without_an_administrator_keeps_the_other_from_nothing() {
    let secret = administrator(Some("any"));
    let server = populated().with(&format!("{SECRETS}/rabbitmq"), secret);
    let context = context(&server);
    let shop = deleted(&external("Delete"), 0);
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::NotYet);
    let events = server.events();
    let note = events[0]["note"].as_str().unwrap();
    assert!(
        note.contains("Secret postgres") && note.contains("RabbitMQ"),
        "{note}"
    );
}

/// Argo CD and `kubectl delete --cascade=foreground` have a Shop's objects removed before it.
#[tokio::test]
async fn a_shop_whose_secrets_went_first_is_known_by_its_status() {
    let server = ApiServer::default().with(SHOP, json!({"metadata": {"name": "demo"}, "spec": {}}));
    let context = context(&server);
    let mut shop = deleted(&external("Delete"), 0);
    shop.status = Some(crate::crd::ShopStatus {
        identity: Some("0123456789ab".to_owned()),
        ..Default::default()
    });
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::NotYet);
    assert!(!is_released(&server), "its databases would be left");
    // Nothing tells what was its.
    shop.status = None;
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::Released);
    assert_eq!(server.events().last().unwrap()["reason"], "LeftBehind");
}

#[tokio::test]
async fn a_shop_with_nothing_on_others_servers_goes_at_once() {
    let server = populated();
    let context = context(&server);
    let shop = deleted(&json!({"deletionPolicy": "Delete"}), 0);
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::Released);
    assert!(is_released(&server));
    assert_eq!(owners(&server, CLUSTER), 2);
}

#[tokio::test]
async fn a_shop_that_can_not_be_read_is_let_go_with_what_it_has() {
    let mut server = populated();
    let mut set = object("StatefulSet", "demo-rabbitmq");
    set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] = json!("Retain");
    set["metadata"]["generation"] = json!(1);
    server = server.with(STATEFUL_SET, set);
    let context = context(&server);
    let shop = deleted(&json!({}), 1);
    assert_eq!(
        end_unread(&context, &shop, "why", PATIENCE).await.unwrap(),
        Deleted::NotYet
    );
    assert!(!is_released(&server));
    let shop = deleted(&json!({}), 6);
    assert_eq!(
        end_unread(&context, &shop, "why", PATIENCE).await.unwrap(),
        Deleted::Released
    );
    assert!(is_released(&server));
    assert_eq!(owners(&server, CLUSTER), 1);
}

#[tokio::test]
async fn a_shop_that_is_to_be_removed_is_held_whatever_its_data_is_in() {
    for (policy, held) in [("Delete", true), ("Retain", false)] {
        for spec in [json!({"deletionPolicy": policy}), external(policy)] {
            let server = ApiServer::default().with(SHOP, json!({"metadata": {"name": "demo"}, "spec": {}}));
            let context = context(&server);
            let mut shop = deleted(&spec, 0);
            shop.metadata.deletion_timestamp = None;
            shop.metadata.finalizers = None;
            guard(&context, &shop, &validate(&shop).unwrap()).await.unwrap();
            let finalizers = server.object(SHOP).unwrap()["metadata"]["finalizers"].clone();
            let expected = if held { json!([FINALIZER]) } else { Value::Null };
            assert_eq!(finalizers, expected, "{policy}");
        }
    }
}

/// Who may write Shops may not have any Secret of the namespace sent to any host.
#[tokio::test]
async fn a_secret_that_is_not_for_the_shop_is_sent_nowhere() {
    for label in [None, Some("other")] {
        let server = populated()
            .with(&format!("{SECRETS}/postgres"), administrator(label))
            .with(&format!("{SECRETS}/rabbitmq"), administrator(label));
        let context = context(&server);
        let shop = deleted(&external("Delete"), 0);
        assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::NotYet);
        let events = server.events();
        assert_eq!(events[0]["reason"], "AdminSecretNotLabelled");
        let note = events[0]["note"].as_str().unwrap();
        let how = "kubectl --namespace shops label secret postgres shop-operator.io/for=demo";
        assert!(note.contains(how) && !note.contains("reached"), "{note}");
    }
}

#[tokio::test]
async fn hosts_beyond_what_is_allowed_are_not_connected_to_at_the_end_either() {
    let server = populated();
    let mut context = context(&server);
    context.limits.allowed_back_end_hosts = vec!["db.example".to_owned()];
    let shop = deleted(&external("Delete"), 0);
    assert_eq!(end(&context, &shop, PATIENCE).await.unwrap(), Deleted::Released);
    assert_eq!(server.events()[0]["reason"], "LeftBehind");
}
