//! How a session with a server begins, waits and ends: as safe as asked for, and never without a deadline.

use std::{future::Future, io, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{net::TcpStream, time::timeout};

use super::{PostgresError, Server, Tls, relay::Relay};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the server takes `password` for `user`, in `database`. One that asks for no password takes any.
pub(super) async fn takes_password(
    server: &Server,
    user: &str,
    password: &SecretString,
    database: &str,
) -> Result<bool, PostgresError> {
    match connect(server, user, password, database).await {
        Ok(session) => {
            close(session).await;
            Ok(true)
        }
        Err(PostgresError::WrongPassword { .. }) => Ok(false),
        // The password is looked at before anything that is in the way of the session.
        Err(PostgresError::NotAllowed { .. }) => Ok(true),
        Err(other) => Err(other),
    }
}

pub(super) async fn connect(
    server: &Server,
    user: &str,
    password: &SecretString,
    database: &str,
) -> Result<PgConnection, PostgresError> {
    let milliseconds = STATEMENT_TIMEOUT.as_millis().to_string();
    let options = PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(user)
        .password(password.expose_secret())
        .database(database)
        .application_name("shop-operator")
        .options([
            // A client that has given up leaves nothing running.
            ("statement_timeout", milliseconds.as_str()),
            // Whoever owns a database could put functions of their own in the way of an administrator's statements.
            ("search_path", "pg_catalog"),
        ])
        // The operator's own log would have the statements with their verifiers.
        .disable_statement_logging();
    let options = match &server.tls {
        Tls::Disable => options.ssl_mode(PgSslMode::Disable),
        Tls::Prefer => options.ssl_mode(PgSslMode::Prefer),
        Tls::Require => options.ssl_mode(PgSslMode::Require),
        Tls::VerifyCa { ca_pem } => with_ca(server, options.ssl_mode(PgSslMode::VerifyCa), ca_pem)?,
        Tls::VerifyFull { ca_pem: None } => options.ssl_mode(PgSslMode::VerifyFull),
        Tls::VerifyFull { ca_pem: Some(pem) } => {
            with_ca(server, options.ssl_mode(PgSslMode::VerifyFull), pem)?
        }
    };
    let address = server.address();
    let doing = format!("log in as {user:?}");
    // sqlx 0.9.0 takes rustls's process-wide provider for `verify-ca` alone, and there rustls panics if none is installed.
    let connecting = AssertUnwindSafe(open(server, options)).catch_unwind();
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(Ok(session))) => Ok(session),
        Ok(Ok(Err(Refusal::Cleartext))) => Err(PostgresError::CleartextPassword { server: address }),
        Ok(Ok(Err(Refusal::Failed(error)))) => Err(PostgresError::new(&address, &doing, &error)),
        Ok(Err(_)) => Err(PostgresError::TlsRefused {
            server: address,
            problem: "this process has no TLS provider".to_owned(),
        }),
        Err(_) => Err(PostgresError::NoAnswer {
            server: address,
            doing,
        }),
    }
}

/// Why there is no session.
enum Refusal {
    Failed(sqlx::Error),
    Cleartext,
}

/// Where there may be no TLS, by way of a [`Relay`].
async fn open(server: &Server, options: PgConnectOptions) -> Result<PgConnection, Refusal> {
    if !matches!(server.tls, Tls::Disable | Tls::Prefer) {
        let connecting = PgConnection::connect_with(&options);
        return connecting.await.map_err(Refusal::Failed);
    }
    let failed = |error: io::Error| Refusal::Failed(error.into());
    let stream = TcpStream::connect((server.host.as_str(), server.port))
        .await
        .map_err(failed)?;
    let relay = Relay::of(stream).await.map_err(failed)?;
    let (host, port) = (relay.address.ip().to_string(), relay.address.port());
    let connected = PgConnection::connect_with(&options.host(&host).port(port)).await;
    match connected {
        Err(_) if relay.has_refused() => Err(Refusal::Cleartext),
        connected => connected.map_err(Refusal::Failed),
    }
}

/// Trusts the authorities in `pem`, of which there must be one: with none, sqlx would fall back to the public ones.
fn with_ca(server: &Server, options: PgConnectOptions, pem: &str) -> Result<PgConnectOptions, PostgresError> {
    if pem.contains("-----BEGIN CERTIFICATE-----") {
        Ok(options.ssl_root_cert_from_pem(pem.as_bytes().to_vec()))
    } else {
        Err(PostgresError::TlsRefused {
            server: server.address(),
            problem: "there is no certificate in what it is to be verified with".to_owned(),
        })
    }
}

/// The answer to a statement, if it comes in time.
pub(super) async fn within<T>(
    server: &str,
    doing: &str,
    statement: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, PostgresError> {
    match timeout(STATEMENT_TIMEOUT, statement).await {
        Ok(result) => result.map_err(|error| PostgresError::new(server, doing, &error)),
        Err(_) => Err(PostgresError::NoAnswer {
            server: server.to_owned(),
            doing: doing.to_owned(),
        }),
    }
}

/// Says goodbye. What is done is done, whether or not the server hears it.
pub(super) async fn close(session: PgConnection) {
    if !matches!(timeout(CONNECT_TIMEOUT, session.close()).await, Ok(Ok(()))) {
        tracing::debug!("a session with PostgreSQL was not closed cleanly");
    }
}
