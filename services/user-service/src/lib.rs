//! user-service: accounts, their passwords and their sessions.
//!
//! Start with the contract, `shop/user/v1/user.proto` in the `proto` crate. The rules stand in one file each and know
//! neither gRPC nor SQL: who has an account (`user`), how a password is kept (`password`; which emails and
//! passwords may be chosen is in the `rules` crate, for the gateway asks that too),
//! what a second factor is (`second_factor`), what a session hands out (`session`: refresh tokens, `token`: access tokens)
//! and which keys sign (`signing_key`). `backoff` slows guessers down without locking the owner out, `hashing` shares
//! password hashing out fairly, `key_source` fetches the keys and follows their rotation, `first_admin` makes the account
//! that nobody can register. `store` is all SQL; the tables and what they promise are explained in `migrations/`. Every
//! change of an account is one transaction with its event (`events`), which the `outbox` crate publishes, and with its
//! record (`audited`) for the audit. `grpc` translates between the contract and all this.
//!
//! The one rule that makes sessions safe under concurrency: **whoever adds or removes refresh tokens holds the row of
//! their user locked.** A password change, a disabled account, a login, a refresh and a logout of one user therefore
//! happen one after the other, and none can slip a token past another.

mod audited;
mod backoff;
mod config;
mod events;
mod first_admin;
mod grpc;
mod hashing;
mod key_source;
mod password;
mod second_factor;
mod session;
mod signing_key;
mod store;
mod token;
mod user;

use chassis::{DefaultAddrs, Running, Service, StartError, Starting};
use proto::{event::USER_SOURCE, user::user_service_server::UserServiceServer};
use tonic::service::Routes;

pub use config::Config;

use first_admin::{FirstAdmin, FirstAdminError};
use hashing::Hasher;
use key_source::{KeySource, KeySourceError};
use store::Store;
use token::Issuer;

/// The service's own ports.
pub const DEFAULT_ADDRS: DefaultAddrs = DefaultAddrs {
    listen: 50052,
    admin: 9052,
};

/// Starts the service; it answers once this returns.
pub fn start(config: Config) -> Starting {
    Box::pin(begin(config))
}

async fn begin(config: Config) -> Result<Running, StartError> {
    let first_admin = FirstAdmin::from_config(&config)?;
    let mut service = Service::bind("user-service", &config.service, DEFAULT_ADDRS)
        .await?
        .tls(&config.tls)?;
    let database = service
        .postgres(
            &config.postgres,
            [store::migrations(), outbox::migrations(), audit::migrations()],
        )
        .await?;
    let producer = service.grpc_channel("producer-service", &config.producer_service_url)?;
    let outbox = outbox::start(&service, database.clone(), producer, USER_SOURCE, &config.relay);
    let store = Store::new(database.clone(), outbox, config.lifetimes());
    let hasher = Hasher::new(config.password_hashing_threads, config.password_hashing_queue);
    if let Some(first_admin) = first_admin {
        let flag = service.health().flag("first-admin");
        flag.until_done(FirstAdminError::may_pass, || first_admin.ensure(&store, &hasher))
            .await
            .map_err(StartError::other)?;
    }

    let flag = service.health().flag("signing-keys");
    let keys = flag
        .until_done(KeySourceError::may_pass, || {
            KeySource::from_config(&config, &store).open()
        })
        .await
        .map_err(StartError::other)?;
    let issuer = Issuer::new(keys.current(), config.access_token_lifetime);
    service.spawn("signing-keys", |shutdown| keys.follow(shutdown));
    let cleaned = store.clone();
    service.spawn("cleaning", |shutdown| cleaned.clean(shutdown));
    let users = grpc::Users::new(store, hasher, issuer);
    let routes = Routes::new(UserServiceServer::new(users))
        .add_service(audit::service(database.clone()))
        .add_service(outbox::service(database));
    Ok(service.serve_grpc(routes))
}
