//! A running gateway.

use api_gateway::Config;
use chassis::Running;
use clap::Parser as _;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

pub(crate) struct Gateway {
    running: Running,
    http: Client,
}

impl Gateway {
    /// With services that are not there, unless the flags say where.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let url = |service| format!("--{service}-service-url={NOWHERE}");
        let mut args: Vec<String> = [
            "api-gateway",
            "--listen-addr=127.0.0.1:0",
            "--admin-addr=127.0.0.1:0",
        ]
        .map(str::to_owned)
        .to_vec();
        for service in ["user", "inventory", "order"] {
            let name = format!("--{service}-service-url");
            if !flags.iter().any(|flag| flag.starts_with(&name)) {
                args.push(url(service));
            }
        }
        args.extend(flags.iter().copied().map(str::to_owned));
        let config = Config::try_parse_from(args).unwrap();
        Self {
            running: api_gateway::start(config).await.unwrap(),
            http: shop_client::http()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    /// The JSON that is at that path.
    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(self.url(path))
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}

/// The status and the last part of the problem's type.
pub(crate) async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let document: Value = response.json().await.unwrap();
    assert_eq!(media_type, "application/problem+json", "{document}");
    assert_eq!(document["status"], status, "{document}");
    let kind = document["type"].as_str().unwrap().rsplit('/').next().unwrap();
    (status, kind.to_owned())
}

pub(crate) fn is(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}
