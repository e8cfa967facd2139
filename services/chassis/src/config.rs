//! Flags and environment variables that services share. Every flag has an environment variable of the same name, so
//! that `LISTEN_ADDR=… user-service` and `user-service --listen-addr …` mean the same; `--help` lists them all.
//!
//! A secret comes as a value in the environment or, better, as a file (`DATABASE_URL_FILE`). Secrets have no flag:
//! a command line can be read by every user of the machine.

#![allow(clippy::doc_markdown, reason = "the comments of flags are what --help prints")]

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named can't be read.
    #[error("{variable}: cannot read {}: {source}", path.display())]
    UnreadableFile {
        /// The variable or flag that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that was named holds nothing.
    #[error("{variable}: {} is empty", path.display())]
    EmptyFile {
        /// The variable or flag that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Neither the value nor its file is given.
    #[error("{0} or {0}_FILE must be set")]
    Missing(&'static str),
    /// The value can't be understood. It is not repeated here: it may be a secret.
    #[error("{variable} is not valid: {reason}")]
    Invalid {
        /// The variable at fault.
        variable: &'static str,
        /// Why, without the value.
        reason: String,
    },
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person at a terminal.
    Pretty,
    /// One JSON object a line, for a log collector.
    Json,
}

/// What every service takes.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Where to answer calls, for example 0.0.0.0:50052. [default: 127.0.0.1 and the service's own port]
    #[arg(long, env = "LISTEN_ADDR")]
    pub listen_addr: Option<SocketAddr>,
    /// Where to answer /healthz, /readyz and /metrics. [default: 127.0.0.1 and the service's own admin port]
    #[arg(long, env = "ADMIN_ADDR")]
    pub admin_addr: Option<SocketAddr>,
    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "pretty")]
    pub log_format: LogFormat,
    /// Which log lines to write, in the syntax of tracing-subscriber's `EnvFilter`.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log: String,
    /// How long calls in flight may take to finish once the service was told to stop.
    #[arg(long, env = "SHUTDOWN_GRACE", default_value = "8s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,
    /// The most gRPC calls at work at once; one more is refused at once, and told when to come back.
    #[arg(long, env = "MAX_CONCURRENT_CALLS", default_value_t = MAX_CONCURRENT_CALLS, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_concurrent_calls: u16,
}

/// About a second's worth of orders on two cores: see `docs/adr/0006-one-layer-asks-again.md`.
const MAX_CONCURRENT_CALLS: u16 = 1_024;

impl ServiceArgs {
    /// Free ports on the loopback address: what a test wants.
    pub fn loopback() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen_addr: Some(any),
            admin_addr: Some(any),
            log_format: LogFormat::Pretty,
            log: "warn".to_owned(),
            shutdown_grace: Duration::from_secs(8),
            max_concurrent_calls: MAX_CONCURRENT_CALLS,
        }
    }
}

/// The database of a service.
#[derive(Args, Clone)]
pub struct PostgresArgs {
    /// `postgres://user:password@host:port/database`.
    #[arg(skip = secret_from_env("DATABASE_URL"))]
    url: Option<SecretString>,
    /// A file that holds DATABASE_URL; read again when it changes, so that a password can be rotated. The variable
    /// DATABASE_URL itself works too, and has no flag because it holds a password.
    #[arg(long, env = "DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// The most connections that this process opens for its work. One more watches whether the database is well.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_max_connections: u32,
}

impl PostgresArgs {
    /// The database at that URL.
    pub fn from_url(url: &str) -> Self {
        Self {
            url: Some(url.into()),
            database_url_file: None,
            database_max_connections: 8,
        }
    }

    /// Reads the URL as it is now: from the file where one is named.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        required(
            "DATABASE_URL",
            self.url.as_ref(),
            self.database_url_file.as_deref(),
        )
    }
}

impl fmt::Debug for PostgresArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresArgs")
            .field("database_url_file", &self.database_url_file)
            .field("database_max_connections", &self.database_max_connections)
            .finish_non_exhaustive()
    }
}

/// Where AMQP is, unless told otherwise.
pub const DEFAULT_AMQP_URL: &str = "amqp://guest:guest@localhost:5672/";

/// The message broker.
#[derive(Args, Clone)]
pub struct AmqpArgs {
    /// `amqp://user:password@host:port/vhost`.
    #[arg(skip = secret_from_env("AMQP_URL"))]
    url: Option<SecretString>,
    /// A file that holds AMQP_URL; read again at each connection. The variable AMQP_URL itself works too, and has no
    /// flag because it holds a password. Without either: amqp://guest:guest@localhost:5672/
    #[arg(long, env = "AMQP_URL_FILE")]
    amqp_url_file: Option<PathBuf>,
    /// Declare exchanges, queues and bindings. Off where an operator does, and this user may not.
    #[arg(long, env = "AMQP_DECLARE_TOPOLOGY", default_value_t = true, action = clap::ArgAction::Set)]
    pub amqp_declare_topology: bool,
}

impl AmqpArgs {
    /// The broker at that URL.
    pub fn from_url(url: &str) -> Self {
        Self {
            url: Some(url.into()),
            amqp_url_file: None,
            amqp_declare_topology: true,
        }
    }

    /// Reads the URL as it is now: from the file where one is named.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        let url = read_secret("AMQP_URL_FILE", self.url.as_ref(), self.amqp_url_file.as_deref())?;
        Ok(url.unwrap_or_else(|| DEFAULT_AMQP_URL.into()))
    }

    /// Whether nobody has said where the broker is: [`DEFAULT_AMQP_URL`] is used.
    pub(crate) fn is_default(&self) -> bool {
        self.url.is_none() && self.amqp_url_file.is_none()
    }
}

impl fmt::Debug for AmqpArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpArgs")
            .field("amqp_url_file", &self.amqp_url_file)
            .field("amqp_declare_topology", &self.amqp_declare_topology)
            .finish_non_exhaustive()
    }
}

/// The address of another service: `http://host:port`, or `https://host:port` for [mutual TLS](crate::tls). The host
/// may be a name with many addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcUrl(Url);

impl GrpcUrl {
    /// The host name or address.
    pub fn host(&self) -> &str {
        // An IPv6 address stands in brackets in a URL and without them everywhere else.
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port; 80 for http and 443 for https where none is written.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// Whether calls go over mutual TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for GrpcUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err("expected http://host:port or https://host:port".to_owned());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for GrpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A secret from an environment variable, taken once at start.
pub fn secret_from_env(variable: &str) -> Option<SecretString> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .map(Into::into)
}

/// A secret from its file, where one is named, or else from its value. A trailing line break is not part of it.
/// `variable` is the name of the variable that names the file, for the error.
pub fn read_secret(
    variable: &'static str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, ConfigError> {
    let Some(path) = file else {
        return Ok(value.cloned());
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::UnreadableFile {
        variable,
        path: path.to_owned(),
        source,
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(ConfigError::EmptyFile {
            variable,
            path: path.to_owned(),
        });
    }
    Ok(Some(text.into()))
}

fn required(
    variable: &'static str,
    value: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<SecretString, ConfigError> {
    read_secret(variable, value, file)?
        .filter(|secret| !secret.expose_secret().is_empty())
        .ok_or(ConfigError::Missing(variable))
}
