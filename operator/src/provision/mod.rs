//! What a shop needs and Kubernetes does not hold: its databases with their roles, and the broker's topology with its
//! users. Each module makes a server hold what is asked for, repairs it, and removes it again.

pub mod postgres;
pub mod rabbitmq;
