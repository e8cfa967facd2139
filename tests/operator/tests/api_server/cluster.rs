//! The cluster, with the Shop's definition in it, and namespaces of a test's own.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{conditions, wait::await_condition},
};
use shop_operator::crd;

/// A client of the cluster, which knows Shops from now on.
pub(crate) async fn connect() -> Client {
    // rustls asks the process for its cryptography, since more than one is compiled in. It may have been installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_default().await.expect("KUBECONFIG names a cluster");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = crd::definition();
    let name = definition.metadata.name.clone().unwrap();
    let parameters = PatchParams::apply("tests").force();
    definitions
        .patch(&name, &parameters, &Patch::Apply(&definition))
        .await
        .unwrap();
    let established = await_condition(definitions, &name, conditions::is_crd_established());
    tokio::time::timeout(Duration::from_secs(30), established)
        .await
        .unwrap()
        .unwrap();
    client
}

/// An empty namespace, which is deleted in the end.
pub(crate) struct TestNamespace {
    /// Its name.
    pub(crate) name: String,
    api: Api<Namespace>,
}

impl TestNamespace {
    pub(crate) async fn create(client: &Client) -> Self {
        let api: Api<Namespace> = Api::all(client.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.generate_name = Some("test-".to_owned());
        let created = api.create(&PostParams::default(), &namespace).await.unwrap();
        Self {
            name: created.metadata.name.unwrap(),
            api,
        }
    }

    pub(crate) async fn delete(self) {
        self.api
            .delete(&self.name, &DeleteParams::background())
            .await
            .unwrap();
    }
}
