//! What the operator makes outside of Kubernetes, on real servers (`tests/backends`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure of a test's own is a panic"
)]

mod postgres;
