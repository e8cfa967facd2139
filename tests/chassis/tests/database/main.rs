//! The pool of database sessions when things go wrong: on real servers that are killed, stopped, cut off by dropped
//! packets, and read-only. Times are printed; `cargo test --test database -- --nocapture` shows them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod failover;
mod giving_up;
mod plans;
#[path = "../relay/mod.rs"]
mod relay;
mod server;
mod throughput;

use chassis::{
    DefaultAddrs, Running, Service,
    config::{PostgresArgs, ServiceArgs},
    postgres::Database,
};

/// A service that has nothing but a database.
struct Shop {
    database: Database,
    running: Running,
}

impl Shop {
    async fn start(url: &str, max_connections: u32) -> Self {
        let ports = DefaultAddrs { listen: 0, admin: 0 };
        let mut service = Service::bind("shop", &ServiceArgs::loopback(), ports)
            .await
            .unwrap();
        let mut args = PostgresArgs::from_url(url);
        args.database_max_connections = max_connections;
        let database = service.postgres(&args, []).await.unwrap();
        Self {
            database,
            running: service.serve_admin_only(),
        }
    }

    /// The status of `/readyz`, and what it says.
    async fn ready(&self) -> (u16, String) {
        let url = format!("http://{}/readyz", self.running.admin_addr());
        let response = fixtures::get(url).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}
