//! The operator of a shop: it makes a cluster hold what a `Shop` resource asks for, and keeps it so.
//!
//! Reconciling is a pipeline: *fetch → validate → build → apply → status*. [`validate`], [`build`] and [`status`] are pure:
//! they know no client, and are tested with the examples of `deploy/examples`. [`apply`] writes what differs, by what
//! [`watch`] knows. The loop that joins them, and what Kubernetes does not hold (databases, roles, queues), are not here
//! yet: the program prints the definition of the resource, and that is all.
//!
//! Where to go for a change: a field of the resource in [`crd`]; what it means in [`validate`]; the objects in [`build`], a
//! file per subject; what is secret in [`credentials`].

#![allow(
    clippy::doc_markdown,
    reason = "kinds of Kubernetes are prose, and the comments of fields are what kubectl explain shows"
)]

pub mod apply;
pub mod build;
pub mod config;
pub mod controller;
pub mod crd;
pub mod credentials;
pub mod diagnosis;
pub mod leader;
pub mod names;
pub mod process;
pub mod provision;
pub mod revision;
pub mod rollout;
pub mod rotation;
pub mod status;
pub mod validate;
pub mod watch;
