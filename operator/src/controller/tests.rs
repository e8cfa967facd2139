#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::Secret;
use kube::core::error_boundary::InvalidObject;
use serde_json::json;

use super::*;
use crate::{memory_api_server::ApiServer, observed::Observer};

const SHOP: &str = "/apis/shop-operator.io/v1alpha1/namespaces/shops/shops/demo";

impl Context {
    /// Of an operator that has seen nothing, and who tells it of Secrets.
    pub(super) fn for_tests(client: Client) -> (Self, Observer<Secret>) {
        let (mut known, _) = watch::watch(&client, None);
        let (observer, secrets) = Observer::new();
        known.secrets = secrets;
        let context = Self {
            recorder: Recorder::new(client.clone(), FIELD_MANAGER.into()),
            applier: Applier::new(client.clone()),
            client,
            shops: reflector::store().0,
            turns: Arc::new(Turns::new(1)),
            shutdown: CancellationToken::new(),
            known,
            storage_classes: reflector::store().0,
            provisioned: Provisioned::new(Duration::from_mins(5)),
            backoff: Backoff::default(),
            metrics: Metrics::new(),
            neighbours: Neighbours::default(),
            limits: Limits::default(),
            deletion_patience: Duration::from_mins(5),
        };
        (context, observer)
    }
}

#[tokio::test]
async fn a_shop_that_can_not_be_read_is_told_so_once() {
    let status = json!({"identity": "0123456789ab", "url": "http://demo"});
    let server = ApiServer::default().with(
        SHOP,
        json!({"metadata": {"name": "demo", "namespace": "shops"}, "spec": {"newer": 1}, "status": status}),
    );
    let (context, _) = Context::for_tests(server.client());
    let invalid = InvalidObject {
        error: "unknown field newer".to_owned(),
        metadata: serde_json::from_value(
            json!({"name": "demo", "namespace": "shops", "uid": "1", "generation": 3}),
        )
        .unwrap(),
    };
    for _ in 0..3 {
        assert_eq!(refuse(&context, &invalid).await.unwrap(), Outcome::Done);
    }
    assert_eq!(server.writes("shops/demo").len(), 1);
    let status = server.object(SHOP).unwrap()["status"].clone();
    assert_eq!(status["conditions"][0]["reason"], "InvalidSpec");
    assert_eq!(status["identity"], "0123456789ab", "what else it says is kept");
    // The next reason is another one.
    let mut invalid = invalid;
    invalid.metadata.generation = Some(4);
    refuse(&context, &invalid).await.unwrap();
    assert_eq!(server.writes("shops/demo").len(), 2);
}
