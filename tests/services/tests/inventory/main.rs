//! The service as its callers see it: started in this process on a free port and on a database of its own, called by a
//! real gRPC client.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod allocation;
mod audit;
mod contention;
mod cursors;
mod events;
mod limits;
mod listing;
mod products;
mod repeating;
mod searching;
mod stock;
mod support;
mod versions;
