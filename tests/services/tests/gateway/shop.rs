//! The gateway with real services behind it, on databases of their own.

use std::time::Duration;

use chassis::{
    Running,
    config::{PostgresArgs, ServiceArgs},
};
use clap::Parser as _;
use fixtures::Database;
use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Gateway;

/// The gateway with three services behind it, and an admin's token.
pub(crate) struct Shop {
    pub(crate) gateway: Gateway,
    pub(crate) users: Running,
    pub(crate) inventory: Running,
    pub(crate) orders: Option<Running>,
    pub(crate) orders_config: order_service::Config,
    pub(crate) databases: [Database; 3],
    pub(crate) token: String,
    pub(crate) admin: Uuid,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// With further flags of the gateway.
    pub(crate) async fn open_with(flags: &[&str]) -> Self {
        let databases = [
            Database::create().await,
            Database::create().await,
            Database::create().await,
        ];
        let mut config = user_service::Config::try_parse_from(["user-service"]).unwrap();
        config.service = ServiceArgs::loopback();
        config.postgres = PostgresArgs::from_url(databases[0].url());
        let users = user_service::start(config).await.unwrap();
        let mut config = inventory_service::Config::try_parse_from(["inventory-service"]).unwrap();
        config.service = ServiceArgs::loopback();
        config.postgres = PostgresArgs::from_url(databases[1].url());
        let inventory = inventory_service::start(config).await.unwrap();
        let mut orders_config = order_service::Config::try_parse_from(["order-service"]).unwrap();
        orders_config.service = ServiceArgs::loopback();
        orders_config.postgres = PostgresArgs::from_url(databases[2].url());
        let orders = order_service::start(orders_config.clone()).await.unwrap();
        // Where it is started again.
        orders_config.service.listen_addr = Some(orders.addr());
        let services = [
            format!("--user-service-url=http://{}", users.addr()),
            format!("--inventory-service-url=http://{}", inventory.addr()),
            format!("--order-service-url=http://{}", orders.addr()),
            "--rate-limit=off".to_owned(),
        ];
        let flags = flags.iter().copied();
        let flags: Vec<&str> = services.iter().map(String::as_str).chain(flags).collect();
        let gateway = Gateway::start(&flags).await;
        while gateway.get("/readyz").send().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let account = json!({ "email": "ada@example.com", "password": "correct horse" });
        let registered = gateway
            .post("/auth/register")
            .json(&account)
            .send()
            .await
            .unwrap();
        assert_eq!(registered.status(), 201);
        execute(&databases[0], "UPDATE users SET role = 'admin'").await;
        let login = gateway.post("/auth/login").json(&account).send().await.unwrap();
        let login: Value = login.json().await.unwrap();
        let admin = sqlx::query_scalar("SELECT id FROM users")
            .fetch_one(databases[0].pool())
            .await
            .unwrap();
        Self {
            token: login["token"].as_str().unwrap().to_owned(),
            gateway,
            users,
            inventory,
            orders: Some(orders),
            orders_config,
            databases,
            admin,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .gateway
            .get(path)
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A pending order of the admin's.
    pub(crate) async fn order(&self) -> Uuid {
        sqlx::query_scalar(
            "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
             VALUES (gen_random_uuid(), $1, 'pending', 'EUR', 1, now(), now()) RETURNING id",
        )
        .bind(self.admin)
        .fetch_one(self.databases[2].pool())
        .await
        .unwrap()
    }

    pub(crate) async fn in_orders(&self, statement: &'static str) {
        execute(&self.databases[2], statement).await;
    }

    pub(crate) async fn close(self) {
        self.gateway.stop().await;
        for running in [self.users, self.inventory].into_iter().chain(self.orders) {
            running.stop().await.unwrap();
        }
        for database in self.databases {
            database.drop().await;
        }
    }
}

impl Shop {
    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Response {
        let request = self.gateway.post(path).bearer_auth(&self.token);
        request
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
            .unwrap()
    }
}

pub(crate) async fn execute(database: &Database, statement: &'static str) {
    sqlx::raw_sql(statement).execute(database.pool()).await.unwrap();
}
