//! Certificates for tests of calls between programs, and a server that has them.

use chassis::{DefaultAddrs, Running, Service, config::ServiceArgs, tls::TlsArgs};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

/// The name that a server of these tests has for its callers.
pub(crate) const HOST: &str = "localhost";

/// A server with these files, in which no method is there: who may call one gets as far as to be told so.
pub(crate) async fn serve(tls: &TlsArgs) -> Running {
    let service = Service::bind(
        "server",
        &ServiceArgs::loopback(),
        DefaultAddrs { listen: 0, admin: 0 },
    )
    .await
    .unwrap();
    service
        .tls(tls)
        .unwrap()
        .serve_grpc(tonic::service::Routes::default())
}

/// A certificate authority of a test's own.
pub(crate) struct Authority {
    key: KeyPair,
    name: &'static str,
}

impl Authority {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            key: KeyPair::generate().unwrap(),
            name,
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// The authority's own certificate: another one each time, of the same key.
    pub(crate) fn certificate(&self) -> String {
        self.params().self_signed(&self.key).unwrap().pem()
    }

    /// The files of a program that is called `host`.
    pub(crate) fn issue(&self, host: &str) -> Files {
        self.issue_to(None, host)
    }

    /// And that its certificate calls by this URI, too.
    pub(crate) fn issue_to(&self, uri: Option<&str>, host: &str) -> Files {
        let key = KeyPair::generate().unwrap();
        let authority = self.params();
        let issuer = Issuer::from_params(&authority, &self.key);
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        let uris = uri.map(|uri| SanType::URI(uri.try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        Files::write(&certificate, &key.serialize_pem(), &self.certificate())
    }
}

/// What a program finds at its start.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) args: TlsArgs,
}

impl Files {
    fn write(certificate: &str, key: &str, authorities: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let args = TlsArgs {
            tls_cert_file: file("tls.crt", certificate),
            tls_key_file: file("tls.key", key),
            tls_ca_file: file("ca.crt", authorities),
        };
        Self { folder, args }
    }

    /// With this key instead of the certificate's.
    pub(crate) fn with_key(self, key: &str) -> Self {
        std::fs::write(self.folder.path().join("tls.key"), key).unwrap();
        self
    }

    pub(crate) fn refusal(&self) -> String {
        self.args.read().unwrap_err().to_string()
    }
}
