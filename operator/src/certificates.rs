//! Certificates for the gRPC between the services: pure, given the time. A Shop has an authority of its own, and each of
//! its programs a certificate of that authority, by which it is known to those that it calls and to those that call it.
//!
//! What a Secret holds is kept until it is time to renew it, two thirds into its life. The authority is renewed with the
//! key that it has, so that its old certificate and its new one verify the same. A program reads its files at its start;
//! its pods roll when they change.
//!
//! Deleting a Secret has it made anew. That of the authority ends all trust in the old one: calls fail until all pods
//! have rolled.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;

use crate::{
    existing::Existing,
    names::{self, Program},
    validate::Validated,
};

/// The keys of a Secret of type kubernetes.io/tls.
pub const CERTIFICATE: &str = "tls.crt";
/// The other one.
pub const KEY: &str = "tls.key";
/// The key of the authority's certificate.
pub const AUTHORITY: &str = "ca.crt";
/// Beside them, when it is time for another certificate (RFC 3339).
pub const RENEW_AT: &str = "renew-at";

/// How long the authority's certificate is valid.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// How long a program's certificate is valid.
const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Clocks differ: a certificate is valid from a little before it is made.
const BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// Why a Shop has no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// What somebody wrote into the authority's Secret can't be used.
    #[error(
        "Secret {secret}: {KEY} is no private key (PKCS#8 in PEM); delete the Secret, and a new authority is made"
    )]
    Key {
        /// The Secret.
        secret: String,
    },
    /// A certificate can't be made.
    #[error("a certificate can't be made: {0}")]
    Making(#[from] rcgen::Error),
    /// The clock is not to be believed.
    #[error("a certificate can't be made: the time {0} is out of range")]
    Time(Timestamp),
}

/// Those of a Shop.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority, whose certificate is its own.
    pub authority: Certificate,
    /// One for each program.
    pub programs: BTreeMap<Program, Certificate>,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Certificate {
    /// In PEM.
    pub certificate: String,
    /// In PEM (PKCS#8).
    pub key: SecretString,
    /// The certificate of the authority, in PEM.
    pub authority: String,
    /// When it is time for another.
    pub renew_at: Timestamp,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("renew_at", &self.renew_at)
            .finish_non_exhaustive()
    }
}

/// The name of the Secret of a Shop's authority.
pub fn authority_secret(shop: &str) -> String {
    names::object(shop, "ca")
}

/// The name of the Secret of a program's certificate.
pub fn program_secret(shop: &str, program: Program) -> String {
    format!("{shop}-{}-tls", program.name())
}

impl Certificates {
    /// What the Shop's Secrets hold, and new ones for what they do not, or for what is to be renewed.
    pub fn complete(
        shop: &Validated,
        existing: &Existing,
        now: Timestamp,
    ) -> Result<Self, CertificatesError> {
        let authority = authority(shop, existing, now)?;
        let of_program = |program: Program| {
            let kept = kept(existing, &program_secret(&shop.name, program));
            let kept = kept.filter(|kept| kept.renew_at > now && kept.authority == authority.certificate);
            let certificate = match kept {
                Some(kept) => kept,
                None => issue(shop, program, &authority, now)?,
            };
            Ok((program, certificate))
        };
        let programs = Program::ALL.into_iter().map(of_program);
        Ok(Self {
            programs: programs.collect::<Result<_, CertificatesError>>()?,
            authority,
        })
    }
}

fn authority(
    shop: &Validated,
    existing: &Existing,
    now: Timestamp,
) -> Result<Certificate, CertificatesError> {
    let key = match kept(existing, &authority_secret(&shop.name)) {
        Some(kept) if kept.renew_at > now => return Ok(kept),
        Some(kept) => authority_key(shop, &kept.key)?,
        None => KeyPair::generate()?,
    };
    let (params, renew_at) = valid(authority_params(shop), AUTHORITY_LIFETIME, now)?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Certificate {
        key: key.serialize_pem().into(),
        authority: certificate.clone(),
        certificate,
        renew_at,
    })
}

fn issue(
    shop: &Validated,
    program: Program,
    authority: &Certificate,
    now: Timestamp,
) -> Result<Certificate, CertificatesError> {
    let issuer_params = authority_params(shop);
    let issuer = Issuer::from_params(&issuer_params, authority_key(shop, &authority.key)?);
    let host = names::host(&names::object(&shop.name, program.name()), &shop.namespace);
    let mut params = CertificateParams::new([host])?;
    // Whom it calls knows it by this; its host is what those that call it look for.
    let id = chassis::tls::spiffe_id(program.name());
    params.subject_alt_names.push(SanType::URI(id.try_into()?));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, program.name());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    let (params, renew_at) = valid(params, LIFETIME, now)?;
    let key = KeyPair::generate()?;
    Ok(Certificate {
        certificate: params.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem().into(),
        authority: authority.certificate.clone(),
        renew_at,
    })
}

/// What is the same in all certificates of the authority. It signs programs and no other authorities.
fn authority_params(shop: &Validated) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, shop.name.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Sets from when to when, and says when to renew.
fn valid(
    mut params: CertificateParams,
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<(CertificateParams, Timestamp), CertificatesError> {
    let after = |duration: SignedDuration| {
        now.checked_add(duration)
            .map_err(|_| CertificatesError::Time(now))
    };
    let date = |time: Timestamp| {
        OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| CertificatesError::Time(time))
    };
    params.not_before = date(after(-BEFORE)?)?;
    params.not_after = date(after(lifetime)?)?;
    Ok((params, after(lifetime / 3 * 2)?))
}

fn authority_key(shop: &Validated, key: &SecretString) -> Result<KeyPair, CertificatesError> {
    KeyPair::from_pem(key.expose_secret()).map_err(|_| CertificatesError::Key {
        secret: authority_secret(&shop.name),
    })
}

/// A certificate that is there with all that belongs to it.
fn kept(existing: &Existing, secret: &str) -> Option<Certificate> {
    let entries = existing.get(secret)?;
    let text = |key: &str| entries.get(key).map(|text| text.expose_secret().to_owned());
    let certificate = text(CERTIFICATE)?;
    Some(Certificate {
        key: entries.get(KEY)?.clone(),
        authority: text(AUTHORITY)?,
        renew_at: text(RENEW_AT)?.parse().ok()?,
        certificate,
    })
}
