//! What every service stands on, so that a service holds only its own subject: configuration, telemetry, gRPC server
//! and clients, PostgreSQL, RabbitMQ, health and shutdown.
//!
//! A service is a library with one function, `start(config) -> Result<Running, StartError>`, and a `main.rs` that
//! hands it to [`run`]. Inside `start`, [`Service::bind`] opens the listeners, its methods add what the service needs
//! ([`Service::tls`], [`Service::postgres`], [`Service::grpc_channel`], [`Service::spawn`]), and
//! [`Service::serve_grpc`] or [`Service::serve_http`] begins to answer. A test calls the same `start` with port 0 and
//! gets the real thing.
//!
//! Where to go for a change: flags and environment variables in [`config`]; what a span or a log line looks like in
//! [`telemetry`]; deadlines, errors and balancing of calls in [`grpc`]; certificates in [`tls`]; what keepers are
//! woken for in [`security`]; which text is taken from
//! people in [`text`]; the queues in [`amqp::topology`].

pub mod amqp;
pub mod batch;
pub mod bisect;
pub mod config;
pub mod connections;
pub mod grpc;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod open_enum;
pub mod page;
pub mod postgres;
mod run;
pub mod security;
mod service;
pub mod telemetry;
pub mod terminal;
pub mod text;
pub mod tls;
pub mod violations;

/// The allocator of a service's `main.rs`. With glibc's own a busy service spends a sixth of its time there: what a
/// request had is freed by other threads than allocated it.
pub use mimalloc::MiMalloc as Allocator;
pub use run::{Starting, run, run_with};
pub use service::{DefaultAddrs, Running, Service, StartError};
