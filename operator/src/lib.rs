//! The operator of a shop: it makes a cluster hold what a `Shop` resource asks for, and keeps it so.
//!
//! Reconciling is a pipeline: *fetch → validate → build → provision and apply → status*. [`validate`] and [`build`] are
//! pure: they know no client. What Kubernetes does not hold, the databases with their roles and RabbitMQ's topology with
//! its users, is made by [`provision`].
//!
//! Where to go for a change: a field of the resource in [`crd`]; what a field means for the objects in [`build`], a file
//! per kind; SQL and the broker in [`provision`].

pub mod apply;
pub mod build;
pub mod config;
pub mod crd;
pub mod credentials;
pub mod leader;
pub mod names;
pub mod revision;
pub mod status;
pub mod validate;
pub mod watch;
