//! The pods of a Shop, which are asked for and not watched: most of the time nobody has to know them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};

use super::Context;
use crate::{
    apply::{ApplyError, within},
    names,
    validate::Validated,
};

/// How many pods a list is asked for at once.
const PAGE: u32 = 100;

/// The Shop's pods by the part that they are: all of them, since one that ends may be the last of many.
pub(super) async fn pods(
    context: &Context,
    shop: &Validated,
) -> Result<BTreeMap<String, Vec<Pod>>, ApplyError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &shop.namespace);
    let instance = format!("{}={}", names::INSTANCE, shop.name);
    let mut page = ListParams::default().labels(&instance).limit(PAGE);
    let mut pods: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
    loop {
        let list = within::<Pod, _>(&instance, api.list(&page)).await?;
        let next = list.metadata.continue_.clone().filter(|next| !next.is_empty());
        for pod in list {
            let part = pod.labels().get(names::PART).cloned().unwrap_or_default();
            pods.entry(part).or_default().push(pod);
        }
        match next {
            Some(next) => page = page.continue_token(&next),
            None => return Ok(pods),
        }
    }
}

/// Whether some are on their way out.
pub(super) fn is_ending(pods: &BTreeMap<String, Vec<Pod>>) -> bool {
    let mut all = pods.values().flatten();
    all.any(|pod| pod.metadata.deletion_timestamp.is_some())
}
