//! A database and a virtual host of a test's own, on the real PostgreSQL and RabbitMQ that `tests/run` starts.
//! Every failure here is a panic: a test that has no database has failed.
#![allow(clippy::missing_panics_doc, clippy::expect_used)]

use std::env;

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use url::Url;
use uuid::Uuid;

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn unique() -> String {
    format!("test_{}", Uuid::now_v7().simple())
}

/// An empty database.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    pool: PgPool,
}

impl Database {
    /// Creates it, on the server of `TEST_DATABASE_URL`.
    pub async fn create() -> Self {
        let name = unique();
        administer(&format!("CREATE DATABASE {name}")).await;
        let mut url = Url::parse(&server()).expect("TEST_DATABASE_URL is a URL");
        url.set_path(&name);
        let pool = PgPool::connect_lazy(url.as_str()).expect("TEST_DATABASE_URL is a PostgreSQL URL");
        Self {
            name,
            url: url.into(),
            pool,
        }
    }

    /// To be given to a service.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For a look at what a service has written.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Removes it, whoever may still be connected.
    pub async fn drop(self) {
        self.pool.close().await;
        administer(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

fn server() -> String {
    setting(
        "TEST_DATABASE_URL",
        "postgres://postgres:postgres@127.0.0.1:55432/postgres",
    )
}

async fn administer(statement: &str) {
    let mut connection = PgConnection::connect(&server())
        .await
        .expect("PostgreSQL runs: see tests/run");
    connection
        .execute(sqlx::AssertSqlSafe(statement.to_owned()))
        .await
        .expect("the statement is allowed");
}

/// An empty virtual host.
#[derive(Debug)]
pub struct Broker {
    vhost: String,
    amqp_url: String,
    management_url: String,
}

impl Broker {
    /// Creates it, on the broker of `TEST_AMQP_URL` and `TEST_RABBITMQ_MANAGEMENT_URL`.
    pub async fn create() -> Self {
        let vhost = unique();
        let management_url = setting(
            "TEST_RABBITMQ_MANAGEMENT_URL",
            "http://guest:guest@127.0.0.1:55673",
        );
        let mut url = Url::parse(&setting("TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:55672/"))
            .expect("TEST_AMQP_URL is a URL");
        let user = url.username().to_owned();
        url.set_path(&vhost);
        let broker = Self {
            amqp_url: url.into(),
            management_url,
            vhost,
        };
        let vhost = &broker.vhost;
        broker
            .manage(
                reqwest::Method::PUT,
                &format!("/api/vhosts/{vhost}"),
                serde_json::json!({}),
            )
            .await;
        let all = serde_json::json!({ "configure": ".*", "write": ".*", "read": ".*" });
        broker
            .manage(
                reqwest::Method::PUT,
                &format!("/api/permissions/{vhost}/{user}"),
                all,
            )
            .await;
        broker
    }

    /// To be given to a service.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// The management API, with its credentials.
    pub fn management_url(&self) -> &str {
        &self.management_url
    }

    /// Its name.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// Calls the management API and returns its answer, which must be a success.
    pub async fn manage(
        &self,
        method: reqwest::Method,
        path: &str,
        body: serde_json::Value,
    ) -> serde_json::Value {
        let url = format!("{}{path}", self.management_url.trim_end_matches('/'));
        let request = reqwest::Client::new().request(method, url);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let response = request
            .send()
            .await
            .expect("RabbitMQ's management API answers: see tests/run");
        let response = response.error_for_status().expect("the management API accepts");
        serde_json::from_slice(&response.bytes().await.expect("the answer is whole")).unwrap_or_default()
    }

    /// Removes it with all it holds.
    pub async fn drop(self) {
        self.manage(
            reqwest::Method::DELETE,
            &format!("/api/vhosts/{}", self.vhost),
            serde_json::Value::Null,
        )
        .await;
    }
}
