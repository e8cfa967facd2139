//! `provision::rabbitmq` on the real RabbitMQ that `tests/run` starts (`tests/backends` for these tests alone).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod drift;
mod making;
mod permissions;
mod refusals;
mod support;
