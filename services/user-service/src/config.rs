//! Flags and environment variables.

#![allow(clippy::doc_markdown, reason = "the comments of flags are what --help prints")]

use std::{num::NonZero, path::PathBuf, time::Duration};

use chassis::{
    config::{GrpcUrl, PostgresArgs, ServiceArgs, secret_from_env},
    tls::TlsArgs,
};
use secrecy::SecretString;

use crate::store::Lifetimes;

const DAY: Duration = Duration::from_hours(24);

/// Accounts, their passwords and their sessions.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "user-service", version)]
pub struct Config {
    /// What every service has.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Its certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Its database.
    #[command(flatten)]
    pub postgres: PostgresArgs,
    /// Where events are handed to. Nothing waits for it: they are kept until it is there.
    #[arg(long, env = "PRODUCER_SERVICE_URL", default_value = "http://127.0.0.1:50054")]
    pub producer_service_url: GrpcUrl,
    /// How its events are published.
    #[command(flatten)]
    pub relay: outbox::RelayArgs,

    /// The email of an admin to create at start, where no account has it yet. Needs a password: ADMIN_PASSWORD_FILE, or
    /// the variable ADMIN_PASSWORD, which has no flag. An account that exists is left as it is, password and role
    /// included: what an admin changed since is not undone by a restart.
    #[arg(long, env = "ADMIN_EMAIL")]
    pub admin_email: Option<String>,
    /// The password that the first admin begins with.
    #[arg(skip = secret_from_env("ADMIN_PASSWORD"))]
    pub admin_password: Option<SecretString>,
    /// A file that holds ADMIN_PASSWORD; read at start.
    #[arg(long, env = "ADMIN_PASSWORD_FILE")]
    pub admin_password_file: Option<PathBuf>,

    /// A PEM file of the Ed25519 keys of access tokens. Its first block, a PKCS#8 private key, signs; the others, private
    /// or public, only verify. Read again when it changes. To rotate: append the new key; once every replica has read
    /// the file, move it to the top; once the last token of the old key has expired, remove the old key. Without this
    /// file the service makes its keys itself and keeps them, private parts included, in its database, where all
    /// replicas share them.
    #[arg(long, env = "TOKEN_SIGNING_KEYS_FILE")]
    pub token_signing_keys_file: Option<PathBuf>,
    /// How long a key that the service made itself signs before a new one takes over.
    #[arg(long, env = "TOKEN_SIGNING_KEY_LIFETIME", default_value = "90d", value_parser = from_hour_to_years)]
    pub token_signing_key_lifetime: Duration,
    /// How long an access token is valid. What its holder may do is looked up all the same: this is how long a customer
    /// can still read where user-service can't be asked.
    #[arg(long, env = "ACCESS_TOKEN_LIFETIME", default_value = "15m", value_parser = from_second_to_day)]
    pub access_token_lifetime: Duration,
    /// How long a refresh token is valid, if it is not used.
    #[arg(long, env = "REFRESH_TOKEN_LIFETIME", default_value = "30d", value_parser = from_second_to_years)]
    pub refresh_token_lifetime: Duration,
    /// How long a session lasts, however often it is refreshed.
    #[arg(long, env = "SESSION_LIFETIME", default_value = "90d", value_parser = from_second_to_years)]
    pub session_lifetime: Duration,

    /// How many passwords are hashed at once. Each takes a core and 19 MiB. [default: half the cores]
    #[arg(long, env = "PASSWORD_HASHING_THREADS", default_value_t = half_the_cores(), hide_default_value = true)]
    pub password_hashing_threads: NonZero<u16>,
    /// How many more passwords may wait to be hashed. One more is refused as RESOURCE_EXHAUSTED.
    #[arg(long, env = "PASSWORD_HASHING_QUEUE", default_value_t = 64)]
    pub password_hashing_queue: u16,
    /// Something to do instead of serving.
    #[command(subcommand)]
    pub command: Option<outbox::Command>,
}

impl Config {
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            refresh_token: self.refresh_token_lifetime,
            session: self.session_lifetime,
        }
    }
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}

fn half_the_cores() -> NonZero<u16> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    u16::try_from(cores / 2)
        .ok()
        .and_then(NonZero::new)
        .unwrap_or(NonZero::<u16>::MIN)
}

fn from_second_to_day(text: &str) -> Result<Duration, String> {
    duration_between(text, Duration::from_secs(1), DAY)
}

fn from_second_to_years(text: &str) -> Result<Duration, String> {
    duration_between(text, Duration::from_secs(1), 3660 * DAY)
}

fn from_hour_to_years(text: &str) -> Result<Duration, String> {
    duration_between(text, Duration::from_hours(1), 3660 * DAY)
}

fn duration_between(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (least..=most).contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (
        humantime::format_duration(least),
        humantime::format_duration(most),
    );
    Err(format!("must be from {least} to {most}"))
}
