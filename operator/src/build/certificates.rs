//! Secrets of type kubernetes.io/tls: the authority of a Shop, and what its programs are known by. They go with the Shop:
//! no data is lost with them.

use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret as _;

use super::{owned, secrets::secret};
use crate::{
    certificates::{
        AUTHORITY, CERTIFICATE, Certificate, Certificates, KEY, RENEW_AT, authority_secret, program_secret,
    },
    validate::Validated,
};

pub(super) fn secrets(shop: &Validated, certificates: &Certificates) -> Vec<Secret> {
    let of = |name: String, part: &str, certificate: &Certificate| {
        let text = [
            (CERTIFICATE, certificate.certificate.clone()),
            (KEY, certificate.key.expose_secret().to_owned()),
            (AUTHORITY, certificate.authority.clone()),
            (RENEW_AT, certificate.renew_at.to_string()),
        ];
        secret(owned(shop, name, part), "kubernetes.io/tls", text)
    };
    let mut secrets = vec![of(authority_secret(&shop.name), "ca", &certificates.authority)];
    for (program, certificate) in &certificates.programs {
        let name = program_secret(&shop.name, *program);
        secrets.push(of(name, program.name(), certificate));
    }
    secrets
}
