//! What Kubernetes does not hold.

pub mod rabbitmq;
