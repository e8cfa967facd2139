//! The audit on a real database, by a login of its own that owns it as a service's does.
#![allow(clippy::unwrap_used, clippy::large_futures, missing_docs)]

mod adding;
mod listing;
mod support;
