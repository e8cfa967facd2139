//! Flags and environment variables.

#![allow(clippy::doc_markdown, reason = "the comments of flags are what --help prints")]

use std::time::Duration;

use axum::http::HeaderValue;
use chassis::{
    config::{GrpcUrl, ServiceArgs},
    tls::TlsArgs,
};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::proxies::TrustedProxies;

/// The HTTP API of the shop.
#[derive(Clone, Debug, Parser)]
#[command(name = "api-gateway", version)]
pub struct Config {
    /// Something to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What every service takes.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Its certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Where accounts and signing keys are.
    #[arg(long, env = "USER_SERVICE_URL", default_value = "http://127.0.0.1:50052")]
    pub user_service_url: GrpcUrl,
    /// Where products and stock are.
    #[arg(long, env = "INVENTORY_SERVICE_URL", default_value = "http://127.0.0.1:50055")]
    pub inventory_service_url: GrpcUrl,
    /// Where orders are.
    #[arg(long, env = "ORDER_SERVICE_URL", default_value = "http://127.0.0.1:50051")]
    pub order_service_url: GrpcUrl,
    /// Where the queue and the dead letters are looked after.
    #[arg(long, env = "CONSUMER_SERVICE_URL", default_value = "http://127.0.0.1:50053")]
    pub consumer_service_url: GrpcUrl,
    /// What a client may ask of this process.
    #[command(flatten)]
    pub limits: Limits,
    /// How often a client may ask.
    #[command(flatten)]
    pub rates: Rates,
    /// A name, host:port, that has the addresses of all gateways of this shop: what a client may ask is shared out among
    /// them. Without it this one is taken to be alone.
    #[arg(long, env = "GATEWAY_REPLICAS")]
    pub gateway_replicas: Option<String>,
    /// Whether an admin needs a second factor (TOTP). One without, or whose session was opened without, may do what a
    /// customer may, and set one up.
    #[arg(
        long,
        env = "REQUIRE_ADMIN_MFA",
        default_value_t = false,
        num_args = 0..=1,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub require_admin_mfa: bool,
    /// What is shown of the stock of products.
    #[command(flatten)]
    pub stock: StockArgs,
    /// Origins whose pages may call this API from a browser, for example https://shop.example; several with commas,
    /// or *. None by default.
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_allowed_origins: Vec<HeaderValue>,
    /// Whether /docs and /openapi.json are there.
    #[arg(long, env = "API_DOCS", value_enum, default_value = "on")]
    pub api_docs: ApiDocs,
    /// Whether the storefront is there, at / and under /shop.
    #[arg(long, env = "PAGES", value_enum, default_value = "on")]
    pub pages: Pages,
}

/// Something to do instead of serving.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Prints the description of the API, OpenAPI 3.1 in JSON, as it is served at /openapi.json.
    Openapi,
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}

/// What bounds one request, and all of them together.
#[derive(Args, Clone, Debug)]
pub struct Limits {
    /// The most connections at once. One more takes the place of one that waits with no request at work.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 8_192, value_parser = size(1..=1_000_000))]
    pub max_connections: usize,
    /// The most from one IPv4 address or one /64 of IPv6, whoever stands behind it; from a /56 twice, from a /48 three
    /// times as many. With RATE_LIMIT=off not from this machine itself.
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 2_048, value_parser = size(1..=1_000_000))]
    pub max_connections_per_address: usize,
    /// The largest body, in bytes.
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 64 * 1024, value_parser = size(1_024..=4 * 1024 * 1024))]
    pub max_body_bytes: usize,
    /// How long a body may take to come; past it the answer is 408.
    #[arg(long, env = "BODY_TIMEOUT", default_value = "10s", value_parser = humantime)]
    pub body_timeout: Duration,
    /// The most requests at once whose body is not there yet; one more is answered with 503. They are not at work.
    #[arg(long, env = "MAX_UNFINISHED_BODIES", default_value_t = 1_024, value_parser = size(1..=100_000))]
    pub max_unfinished_bodies: usize,
    /// The same from one IPv4 address or one /64 of IPv6, twice as many from a /56 and three times as many from a /48; one
    /// more is answered with 429.
    #[arg(long, env = "MAX_UNFINISHED_BODIES_PER_ADDRESS", default_value_t = 128, value_parser = size(1..=100_000))]
    pub max_unfinished_bodies_per_address: usize,
    /// How long an answer may take once the request is there; past it the answer is 503.
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "10s", value_parser = humantime)]
    pub request_timeout: Duration,
    /// The most requests at work at once; one more is answered with 503. So is one for which a service would be asked that
    /// answers more slowly than a person notices: of those fewer are let in.
    #[arg(long, env = "MAX_CONCURRENT_REQUESTS", default_value_t = 2_048, value_parser = size(1..=100_000))]
    pub max_concurrent_requests: usize,
    /// The most streams of an order's status at once; one more is answered with 503.
    #[arg(long, env = "MAX_EVENT_STREAMS", default_value_t = 1_000, value_parser = size(1..=100_000))]
    pub max_event_streams: usize,
    /// The most of one account; one more is answered with 429.
    #[arg(long, env = "MAX_EVENT_STREAMS_PER_ACCOUNT", default_value_t = 50, value_parser = size(1..=100_000))]
    pub max_event_streams_per_account: usize,
    /// The most from one IPv4 address or one /64 of IPv6; from a /56 twice, from a /48 three times as many.
    #[arg(long, env = "MAX_EVENT_STREAMS_PER_ADDRESS", default_value_t = 300, value_parser = size(1..=100_000))]
    pub max_event_streams_per_address: usize,
    /// How long ago the password may have been given where an account's role or its disabled flag is changed.
    #[arg(long, env = "RECENT_LOGIN", default_value = "10m", value_parser = humantime)]
    pub recent_login: Duration,
}

/// What is shown of the stock of products.
#[derive(Args, Clone, Copy, Debug)]
pub struct StockArgs {
    /// What everybody but admins sees of it.
    #[arg(long, env = "SHOW_STOCK", value_enum, default_value = "exact")]
    pub show_stock: ShowStock,
    /// Up to how many units the availability of a product is `low`.
    #[arg(long, env = "LOW_STOCK", default_value_t = 5, value_parser = clap::value_parser!(i64).range(0..=1_000_000_000))]
    pub low_stock: i64,
}

/// How much is shown of the stock of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShowStock {
    /// How many units there are, and whether that is few or none.
    Exact,
    /// Whether there are enough, few or none.
    Bucketed,
    /// Nothing.
    Hidden,
}

/// Whether the API's description is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiDocs {
    /// At /docs and /openapi.json.
    On,
    /// Nowhere.
    Off,
}

/// Whether there are pages for people with a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pages {
    /// At / and under /shop.
    On,
    /// Nowhere: the API alone.
    Off,
}

/// Whether rates are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RateLimit {
    /// As configured.
    On,
    /// Not at all: for load tests.
    Off,
}

/// How often one client may ask: an account, or without a token an IPv4 address or a /64 of IPv6. A /56 may twice, and a
/// /48 three times as often.
#[derive(Args, Clone, Debug)]
pub struct Rates {
    /// Off for load tests.
    #[arg(long, env = "RATE_LIMIT", value_enum, default_value = "on")]
    pub rate_limit: RateLimit,
    /// Requests a second that one client may make in the long run.
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit_per_second: u32,
    /// Requests that one client may make at once.
    #[arg(long, env = "RATE_LIMIT_BURST", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit_burst: u32,
    /// Requests to /auth/* a minute that one address may make in the long run.
    #[arg(long, env = "RATE_LIMIT_AUTH_PER_MINUTE", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit_auth_per_minute: u32,
    /// Requests to /auth/* that one address may make at once.
    #[arg(long, env = "RATE_LIMIT_AUTH_BURST", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit_auth_burst: u32,
    /// Orders that one account may place within an hour, all at once if it likes.
    #[arg(long, env = "RATE_LIMIT_ORDERS_PER_HOUR", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit_orders_per_hour: u32,
    /// The proxies in front of this process that are believed in X-Forwarded-For, X-Forwarded-Proto and Forwarded: their
    /// networks, such as 10.0.0.0/8,fd00::/8, or how many there are. With 0 none: anybody can send these headers.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "0")]
    pub trusted_proxies: TrustedProxies,
}

fn size(
    range: std::ops::RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse().map_err(|_| "expected a number".to_owned())?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(format!("expected {} to {}", range.start(), range.end()))
        }
    }
}

fn humantime(text: &str) -> Result<Duration, String> {
    ::humantime::parse_duration(text).map_err(|error| error.to_string())
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let is_origin = url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
    if text != "*" && !is_origin {
        return Err("expected an origin such as https://shop.example, or *".to_owned());
    }
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn origins_have_no_path() {
        for good in ["*", "https://shop.example", "http://localhost:3000"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "https://shop.example/",
            "https://shop.example/a",
            "null",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = Config::try_parse_from(["api-gateway"]).unwrap();
        assert_eq!(config.limits.max_body_bytes, 65_536);
        assert!(config.cors_allowed_origins.is_empty());
        assert!(Config::try_parse_from(["api-gateway", "--max-body-bytes", "1"]).is_err());
    }
}
