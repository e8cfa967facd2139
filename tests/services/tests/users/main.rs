//! The service as its callers see it: started in this process on a free port and on a database of its own, called by a
//! real gRPC client.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod access;
mod audit;
mod backoff;
mod events;
mod first_admin;
mod hashing;
mod keys;
mod login;
mod profile;
mod refresh;
mod registration;
mod sessions;
mod support;
mod versions;
