//! What Kubernetes does not hold: the databases with their roles on PostgreSQL, and RabbitMQ's topology with its
//! users. Each module makes a server hold what is asked for, repairs it, and removes it again.

pub mod rabbitmq;
