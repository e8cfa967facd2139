//! The operator of a shop: it makes a cluster hold what a `Shop` resource asks for, and keeps it so.
//!
//! Reconciling is a pipeline: *fetch → validate → build → apply → status*. What decides is pure, knows no client, and is
//! tested without a cluster: [`validate`] (what a Shop asks for), [`build`] (its objects), [`rollout`] (in which order they
//! change), [`rotation`] (new logins for old ones), [`diagnosis`] (why pods are not ready) and [`status`]. [`controller`]
//! joins these: it asks what is there, has [`apply`] write what differs, by what [`watch`] knows and [`observed`] keeps, and
//! has [`provision`] make what Kubernetes does not hold: databases with their roles, and RabbitMQ's queues with their users.
//!
//! Where to go for a change: a field of the resource in [`crd`]; what it means in [`validate`]; the objects in [`build`], a
//! file per subject; what is secret in [`credentials`] and [`certificates`]; what the operators of PostgreSQL and RabbitMQ
//! call things in [`clusters`]; one Shop's turn from beginning to end in `controller/reconcile.rs`.

#![allow(
    clippy::doc_markdown,
    reason = "kinds of Kubernetes are prose, and the comments of fields are what kubectl explain shows"
)]

pub mod apply;
pub mod build;
pub mod certificates;
pub mod clusters;
pub mod config;
pub mod controller;
pub mod crd;
pub mod credentials;
pub mod diagnosis;
pub mod existing;
pub mod leader;
pub mod limits;
#[cfg(test)]
mod memory_api_server;
pub mod names;
pub mod observed;
pub mod process;
pub mod provision;
pub mod revision;
pub mod rollout;
pub mod rotation;
pub mod status;
pub mod validate;
pub mod watch;
