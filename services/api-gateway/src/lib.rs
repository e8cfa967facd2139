//! The HTTP API of the shop: the only service that the world talks to. It knows who calls, bounds what they may ask,
//! and turns requests into calls of the services behind it; it keeps nothing itself, so that there can be as many of
//! it as one likes.
//!
//! Start with [`http`]: one file per resource, and the layers that every request goes through. [`problem`] is where
//! refusals get their form, [`token`] where callers are known by their tokens, [`authority`] what they may do now, and [`backends`] where the other services
//! are.

pub mod authority;
pub mod backends;
pub mod config;
pub mod http;
pub mod money;
pub mod problem;
pub mod problem_types;
pub mod proxies;
pub mod rate_limit;
pub mod replicas;
pub mod shares;
pub mod token;

use std::{io::Write as _, process::ExitCode, sync::Arc};

use chassis::{
    DefaultAddrs, Running, Service, StartError, Starting,
    http::{ConnectionLimits, Front},
};

use proto::user::user_service_client::UserServiceClient;

pub use config::{Command, Config};

use crate::{
    authority::Authority, backends::Backends, config::RateLimit, http::Api, problem::Problem,
    rate_limit::Limiter, replicas::Replicas, token::Verifier,
};

/// Where it listens unless it is told otherwise.
pub const DEFAULT_ADDRS: DefaultAddrs = DefaultAddrs {
    listen: 8080,
    admin: 9080,
};

/// Starts answering. It is ready once it knows the keys that tokens are checked with; from then on it stays so, even
/// where a service behind it is down, since the others are not.
pub fn start(config: Config) -> Starting {
    Box::pin(begin(config))
}

/// Prints the description of the API. Fails if it can't be written.
pub fn print_openapi() -> ExitCode {
    let written = writeln!(std::io::stdout(), "{:#}", http::openapi());
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api-gateway: cannot print the document: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn begin(config: Config) -> Result<Running, StartError> {
    let service = Service::bind("api-gateway", &config.service, DEFAULT_ADDRS)
        .await?
        .tls(&config.tls)?;
    let users = service.grpc_channel("user-service", &config.user_service_url)?;
    // Not within the bound on calls at work there: logins that wait for their turn keep nobody from ordering.
    let authority = Authority::new(UserServiceClient::new(users.clone()), config.require_admin_mfa);
    let backends = Backends::new(
        users,
        service.grpc_channel("inventory-service", &config.inventory_service_url)?,
        service.grpc_channel("order-service", &config.order_service_url)?,
        service.grpc_channel("consumer-service", &config.consumer_service_url)?,
        config.limits.max_concurrent_requests,
    );

    let verifier = Arc::new(Verifier::new(backends.users.clone()));
    let (flag, followed) = (service.health().flag("signing-keys"), Arc::clone(&verifier));
    service.spawn("signing-keys", |shutdown| async move {
        followed.follow(flag, shutdown).await;
    });
    let replicas = Replicas::default();
    if let Some(name) = config.gateway_replicas.clone() {
        let followed = replicas.clone();
        service.spawn("replicas", |shutdown| followed.follow(name, shutdown));
    }
    let limiter = Limiter::new(&config.rates, replicas);
    let forgetting = limiter.clone();
    service.spawn("rate-limits", |shutdown| forgetting.forget(shutdown));

    let api = Api::new(
        backends,
        verifier,
        authority,
        limiter,
        service.health().clone(),
        &config,
        service.shutdown(),
    );
    let front = Front {
        gate: http::gate(api.clone()),
        unreadable: Arc::new(Problem::unreadable),
    };
    let router = http::router(api, &config);
    let limits = ConnectionLimits {
        max_connections: config.limits.max_connections,
        max_connections_per_address: config.limits.max_connections_per_address,
        // Whoever makes load on this machine has one address.
        exempt_loopback: config.rates.rate_limit == RateLimit::Off,
        ..ConnectionLimits::default()
    };
    Ok(service.serve_http(router, front, limits))
}
