//! What a reconciliation begins with: the Shop's Secrets, the administrators of its back ends, and what the cluster has.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _, api::ListParams};
use secrecy::{ExposeSecret as _, SecretString};

use super::Context;
use crate::{
    apply::{ApplyError, within},
    build::Surroundings,
    crd::TlsMode,
    credentials::{self, PASSWORD, USERNAME},
    existing::Existing,
    names::{self, Program},
    provision::{postgres, rabbitmq},
    validate::{DatabaseBackend, MessagingBackend, Validated},
    watch::SELECTOR,
};

/// Where an administrator's Secret has the certificate of the server's authority.
const CA: &str = "ca.crt";
/// The label that says which Shop a Secret is for.
const FOR: &str = "shop-operator.io/for";
/// What it says of one that all Shops of the namespace may use.
const ANY: &str = "any";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// Why a reconciliation can't begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The API server.
    #[error(transparent)]
    Request(#[from] ApplyError),
    /// An administrator's Secret is not there.
    #[error(
        "{field}: there is no Secret {name} in the Shop's namespace; create it with the keys username and password"
    )]
    NoSecret {
        /// Which field of the spec names it.
        field: &'static str,
        /// Its name.
        name: String,
    },
    /// Nobody has said that an administrator's Secret is for this Shop.
    #[error(
        "{field}: the Secret {name} is not for this Shop; who owns it says so by a label: \
         kubectl --namespace {namespace} label secret {name} {FOR}={shop}"
    )]
    NotForIt {
        /// Which field of the spec names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// Where it is.
        namespace: String,
        /// Whose it should be.
        shop: String,
    },
    /// An administrator's Secret lacks something.
    #[error("{field}: the Secret {name} has no key {key}, or nothing in it that is text")]
    NoKey {
        /// Which field of the spec names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// What is missing.
        key: &'static str,
    },
    /// Neither administrator can be had.
    #[error("{database}; {messaging}")]
    Neither {
        /// PostgreSQL's.
        database: Box<FetchError>,
        /// RabbitMQ's.
        messaging: Box<FetchError>,
    },
}

impl FetchError {
    /// The reason of a condition.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Request(_) => "ApiServerFailed",
            Self::NoSecret { .. } => "AdminSecretMissing",
            Self::NotForIt { .. } => "AdminSecretNotLabelled",
            Self::NoKey { .. } => "AdminSecretIncomplete",
            Self::Neither { database, .. } => database.reason(),
        }
    }
}

/// An account that administers a server.
#[derive(Clone)]
pub(super) struct Administrator {
    /// Its name.
    pub(super) username: String,
    /// Its password.
    pub(super) password: SecretString,
    /// The authority that signs the server's certificate, in PEM.
    pub(super) ca: Option<String>,
}

/// Those of the servers that are not the Shop's own.
pub(super) struct Administrators {
    /// PostgreSQL's.
    pub(super) database: Result<Option<Administrator>, FetchError>,
    /// RabbitMQ's.
    pub(super) messaging: Result<Option<Administrator>, FetchError>,
}

/// What there is.
pub(super) struct Fetched {
    /// The Shop's own Secrets.
    pub(super) existing: Existing,
    /// The cluster, and the authorities.
    pub(super) surroundings: Surroundings,
    /// Of a PostgreSQL that is not the Shop's own.
    pub(super) database: Option<Administrator>,
    /// Of a RabbitMQ that is not the Shop's own.
    pub(super) messaging: Option<Administrator>,
}

/// Asks for all of it, at once. Secrets are read from the API server each time, never from a cache: a password that is
/// there and not seen would be made anew.
pub(super) async fn fetch(context: &Context, shop: &Validated) -> Result<Fetched, FetchError> {
    let (existing, administrators) = each(context, shop).await?;
    let (database, messaging) = both(administrators.database, administrators.messaging)?;
    let ca = |of: &Option<Administrator>| of.as_ref().and_then(|administrator| administrator.ca.clone());
    Ok(Fetched {
        surroundings: Surroundings {
            has_default_storage_class: has_volumes(context, shop),
            neighbours: context.neighbours.clone(),
            // While a cluster is away, what the services have goes on to be right.
            database_ca: ca(&database).or_else(|| kept_ca(shop, &existing)),
            messaging_ca: ca(&messaging),
        },
        existing,
        database,
        messaging,
    })
}

/// The Shop's own Secrets, and each administrator as far as it can be had: one that can't is in nobody else's way.
pub(super) async fn each(
    context: &Context,
    shop: &Validated,
) -> Result<(Existing, Administrators), FetchError> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &shop.namespace);
    let (existing, database, messaging) = tokio::join!(
        own_secrets(&api, shop),
        database_administrator(&api, shop),
        messaging_administrator(&api, shop),
    );
    Ok((existing?, Administrators { database, messaging }))
}

/// Both, or all that is wrong: a status that named whichever answered first would change from turn to turn.
fn both<D, M>(
    database: Result<D, FetchError>,
    messaging: Result<M, FetchError>,
) -> Result<(D, M), FetchError> {
    match (database, messaging) {
        (Ok(database), Ok(messaging)) => Ok((database, messaging)),
        (Err(database), Err(messaging)) => Err(FetchError::Neither {
            database: Box::new(database),
            messaging: Box::new(messaging),
        }),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

async fn own_secrets(api: &Api<Secret>, shop: &Validated) -> Result<Existing, FetchError> {
    let own = format!("{SELECTOR},{}={}", names::INSTANCE, shop.name);
    let parameters = ListParams::default().labels(&own);
    let secrets = within::<Secret, _>(&own, api.list(&parameters)).await?;
    let named = |secret: Secret| (secret.name_any(), text(secret));
    Ok(secrets.into_iter().map(named).collect())
}

async fn database_administrator(
    api: &Api<Secret>,
    shop: &Validated,
) -> Result<Option<Administrator>, FetchError> {
    match &shop.database {
        DatabaseBackend::Embedded(_) => Ok(None),
        DatabaseBackend::CloudNativePg(_) => {
            let admin = credentials::database_admin_secret(shop).unwrap_or_default();
            let ca = credentials::database_ca_secret(shop).unwrap_or_default();
            of_cluster(api, &admin, Some(&ca)).await
        }
        DatabaseBackend::External(external) => {
            // The public authorities sign names, and any name would do.
            let needs_ca = external.tls == TlsMode::VerifyCa;
            let field = "spec.database.external.adminSecret";
            administrator(api, shop, field, &external.admin_secret.name, needs_ca)
                .await
                .map(Some)
        }
    }
}

async fn messaging_administrator(
    api: &Api<Secret>,
    shop: &Validated,
) -> Result<Option<Administrator>, FetchError> {
    match &shop.messaging {
        MessagingBackend::Embedded(_) => Ok(None),
        MessagingBackend::RabbitmqCluster(_) => {
            let admin = credentials::messaging_admin_secret(shop).unwrap_or_default();
            of_cluster(api, &admin, None).await
        }
        MessagingBackend::External(external) => {
            let field = "spec.messaging.external.adminSecret";
            administrator(api, shop, field, &external.admin_secret.name, false)
                .await
                .map(Some)
        }
    }
}

/// Who administers PostgreSQL.
pub(super) fn database_server(
    shop: &Validated,
    endpoints: &crate::build::Endpoints,
    administrator: Administrator,
) -> postgres::Server {
    let ca = administrator.ca;
    let tls = match shop.database.tls() {
        TlsMode::Disable => postgres::Tls::Disable,
        TlsMode::Prefer => postgres::Tls::Prefer,
        TlsMode::Require => postgres::Tls::Require,
        TlsMode::VerifyCa => postgres::Tls::VerifyCa {
            ca_pem: ca.unwrap_or_default(),
        },
        TlsMode::VerifyFull => postgres::Tls::VerifyFull { ca_pem: ca },
    };
    postgres::Server {
        host: endpoints.database_host.clone(),
        port: endpoints.database_port,
        user: administrator.username,
        password: administrator.password,
        tls,
    }
}

/// Who administers RabbitMQ, unless its URL is none.
pub(super) fn messaging_server(
    endpoints: &crate::build::Endpoints,
    administrator: Administrator,
) -> Result<rabbitmq::Server, url::ParseError> {
    Ok(rabbitmq::Server {
        management_url: endpoints.management.parse()?,
        user: administrator.username,
        password: administrator.password,
        ca_pem: administrator.ca.map(String::into_bytes),
    })
}

/// An administrator whose Secret a Shop names. Who may write Shops may not read Secrets for that: whoever owns a Secret says
/// by a label which Shop it is for.
async fn administrator(
    api: &Api<Secret>,
    shop: &Validated,
    field: &'static str,
    name: &str,
    needs_ca: bool,
) -> Result<Administrator, FetchError> {
    let found = within::<Secret, _>(name, api.get_opt(name)).await?;
    let secret = found.ok_or_else(|| FetchError::NoSecret {
        field,
        name: name.to_owned(),
    })?;
    let is_for = secret.labels().get(FOR);
    if !is_for.is_some_and(|is_for| *is_for == shop.name || is_for == ANY) {
        return Err(FetchError::NotForIt {
            field,
            name: name.to_owned(),
            namespace: shop.namespace.clone(),
            shop: shop.name.clone(),
        });
    }
    let mut text = text(secret);
    let mut take = |key: &'static str| {
        text.remove(key).ok_or_else(|| FetchError::NoKey {
            field,
            name: name.to_owned(),
            key,
        })
    };
    let username = take(USERNAME)?;
    let password = take(PASSWORD)?;
    let ca = take(CA);
    Ok(Administrator {
        username: plain(&username),
        password,
        ca: if needs_ca {
            Some(plain(&ca?))
        } else {
            ca.ok().as_ref().map(plain)
        },
    })
}

/// The administrator of a cluster, as its operator writes it down, with the authority of its certificate from a Secret of
/// its own: none while the cluster is being made.
async fn of_cluster(
    api: &Api<Secret>,
    admin: &str,
    ca: Option<&str>,
) -> Result<Option<Administrator>, FetchError> {
    let Some(secret) = within::<Secret, _>(admin, api.get_opt(admin)).await? else {
        return Ok(None);
    };
    let mut entries = text(secret);
    let (Some(username), Some(password)) = (entries.remove(USERNAME), entries.remove(PASSWORD)) else {
        return Ok(None);
    };
    let ca = match ca {
        None => None,
        Some(name) => {
            let secret = within::<Secret, _>(name, api.get_opt(name)).await?;
            // Without it nothing could be verified.
            let Some(ca) = secret.and_then(|secret| text(secret).remove(CA)) else {
                return Ok(None);
            };
            Some(plain(&ca))
        }
    };
    Ok(Some(Administrator {
        username: plain(&username),
        password,
        ca,
    }))
}

/// The authority that the services of a Shop with a cluster know already.
fn kept_ca(shop: &Validated, existing: &Existing) -> Option<String> {
    let DatabaseBackend::CloudNativePg(_) = &shop.database else {
        return None;
    };
    let secret = names::credentials(&shop.name, Program::UserService.name());
    let ca = existing.get(&secret)?.get(CA)?;
    Some(plain(ca))
}

/// For what is no secret, or goes into a Secret again.
fn plain(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// The entries of a Secret that are text.
fn text(secret: Secret) -> BTreeMap<String, SecretString> {
    let entries = secret.data.unwrap_or_default().into_iter();
    entries
        .filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?.into())))
        .collect()
}

/// Whether embedded data stores that name no storage class have volumes: as those that are there, since that can't be
/// changed any more, and otherwise if the cluster has a default class.
fn has_volumes(context: &Context, shop: &Validated) -> bool {
    let database = match &shop.database {
        DatabaseBackend::Embedded(store) => Some((names::POSTGRES, store)),
        DatabaseBackend::CloudNativePg(_) | DatabaseBackend::External(_) => None,
    };
    let messaging = match &shop.messaging {
        MessagingBackend::Embedded(store) => Some((names::RABBITMQ, store)),
        MessagingBackend::RabbitmqCluster(_) | MessagingBackend::External(_) => None,
    };
    let of_default_class = [database, messaging].into_iter().flatten();
    let name = shop.shop_name();
    let live = of_default_class
        .filter(|(_, store)| store.storage_class_name.is_none())
        .find_map(|(part, _)| context.known.data_store(&name, part));
    match live {
        Some(store) => store.has_claims,
        None => context.storage_classes.state().iter().any(|class| {
            let default = class.annotations().get(DEFAULT_CLASS);
            default.is_some_and(|value| value == "true")
        }),
    }
}
