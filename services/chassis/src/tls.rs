//! Mutual TLS between the programs of a shop: each has a certificate of one authority, answers callers that have one
//! too, and calls peers whose certificate names the host that was called. Which service a caller is stands in its
//! certificate as a URI ([`spiffe_id`]); what it may call is in [`proto::callers`].
//!
//! The files are read once, at start: a certificate that is renewed reaches a program with its next start, as the
//! operator arranges. Only gRPC is encrypted this way; the gateway's HTTP and the admin address are plain.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};

use crate::config::ConfigError;

/// What a certificate calls a service, before its name. The trust domain is the same for every shop, because each has an
/// authority of its own. <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>
const SPIFFE_PREFIX: &str = "spiffe://shop/";

/// A peer that connects and then says nothing is let go after this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The URI by which a service's certificate names it (a SPIFFE ID): `spiffe://shop/order-service`.
pub fn spiffe_id(service: &str) -> String {
    format!("{SPIFFE_PREFIX}{service}")
}

/// The name of the service that a [`spiffe_id`] is of.
pub(crate) fn service_of(spiffe_id: &str) -> Option<&str> {
    spiffe_id.strip_prefix(SPIFFE_PREFIX)
}

/// Where the certificates are; either all three or none.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsArgs {
    /// A PEM file with this program's certificate, and those between it and the authority. With it, gRPC is answered
    /// over mutual TLS only; the addresses of peers are then https://host:port.
    #[arg(long, env = "TLS_CERT_FILE", requires_all = ["tls_key_file", "tls_ca_file"])]
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    #[arg(long, env = "TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// A PEM file with the certificates of the authorities that peers are believed by.
    #[arg(long, env = "TLS_CA_FILE", requires = "tls_cert_file")]
    pub tls_ca_file: Option<PathBuf>,
}

impl TlsArgs {
    /// Reads the files, and checks that they fit each other; none where none is named.
    pub fn read(&self) -> Result<Option<Tls>, ConfigError> {
        let (Some(certificate), Some(key), Some(authorities)) =
            (&self.tls_cert_file, &self.tls_key_file, &self.tls_ca_file)
        else {
            return Ok(None);
        };
        let tls = Tls {
            identity: Identity::from_pem(read("TLS_CERT_FILE", certificate)?, read("TLS_KEY_FILE", key)?),
            authorities: Certificate::from_pem(read("TLS_CA_FILE", authorities)?),
        };
        tls.check()?;
        Ok(Some(tls))
    }
}

/// A program's certificate with its key, and the authorities that it believes.
#[derive(Clone)]
pub struct Tls {
    identity: Identity,
    authorities: Certificate,
}

impl Tls {
    /// For a server: whoever has no certificate of the authorities is not answered.
    pub(crate) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity.clone())
            .client_ca_root(self.authorities.clone())
            .timeout(HANDSHAKE_TIMEOUT)
    }

    /// For calls to `host`, which the certificate of whoever answers must name.
    pub(crate) fn client(&self, host: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(self.identity.clone())
            .ca_certificate(self.authorities.clone())
            .domain_name(host)
            .timeout(HANDSHAKE_TIMEOUT)
    }

    /// A key that is not the certificate's, or a file that holds something else, is better said at start than found
    /// out by each call.
    fn check(&self) -> Result<(), ConfigError> {
        let invalid = |error: tonic::transport::Error| {
            let cause =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            ConfigError::Invalid {
                variable: "one of TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE",
                reason: cause,
            }
        };
        Server::builder().tls_config(self.server()).map_err(invalid)?;
        Endpoint::from_static("https://localhost")
            .tls_config(self.client("localhost"))
            .map_err(invalid)?;
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn read(variable: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::UnreadableFile {
        variable,
        path: path.to_owned(),
        source,
    })?;
    if bytes.is_empty() {
        return Err(ConfigError::EmptyFile {
            variable,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}
