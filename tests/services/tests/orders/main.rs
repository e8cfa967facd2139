//! The service as its callers see it: started in this process on a free port and on a database of its own, called by a
//! real gRPC client.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod audit;
mod creation;
mod cursors;
mod limits;
mod open_orders;
mod outbox;
mod poison;
mod reading;
mod statuses;
mod stopping;
mod support;
mod versions;
