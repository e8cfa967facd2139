//! Against the API server of a real cluster: that of the current kubeconfig, which `tests/cluster/up` makes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod applying;
mod changes;
mod cluster;
mod dynamic;
mod manifests;
