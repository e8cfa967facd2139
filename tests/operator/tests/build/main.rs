//! From the examples to the objects of a Shop, without a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod certificates;
mod credentials;
mod network;
mod objects;
mod rotation;
mod support;
mod validation;
