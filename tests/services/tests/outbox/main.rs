//! The outbox on a real database, with a producer-service of the test's own that refuses on demand.
#![allow(clippy::unwrap_used, missing_docs)]

mod poison;
mod publishing;
mod support;
mod table;
mod unheard;
