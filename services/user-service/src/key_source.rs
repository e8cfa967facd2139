//! Where the keys of access tokens come from: a file that somebody else rotates, or the service's own database, where
//! all replicas share them and a restart finds them again. Whoever can read that table can make tokens; where that is
//! not wanted, give the file.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chassis::config::{ConfigError, read_secret};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    signing_key::{KeyError, KeySet, Rotation},
    store::{Store, StoreError},
};

const VARIABLE: &str = "TOKEN_SIGNING_KEYS_FILE";
/// How often the source is read again: several times within the time that a new key is published before it signs.
const INTERVAL: Duration = Duration::from_secs(10);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySourceError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The file holds no keys.
    #[error("{VARIABLE}: {0}")]
    FileContent(KeyError),
    /// The keys of the database are broken.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error("cannot read or make signing keys: {0}")]
    Store(#[from] StoreError),
}

impl KeySourceError {
    /// Whether the same may succeed a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_pass())
    }
}

/// Where keys come from.
pub(crate) enum KeySource {
    /// A PEM file.
    File(PathBuf),
    /// The service makes them itself.
    Store(Store, Rotation),
}

impl KeySource {
    /// The file where one is named, otherwise the database.
    pub(crate) fn from_config(config: &Config, store: &Store) -> Self {
        let rotation = Rotation {
            every: config.token_signing_key_lifetime,
            token_lifetime: config.access_token_lifetime,
        };
        match &config.token_signing_keys_file {
            Some(path) => Self::File(path.clone()),
            None => Self::Store(store.clone(), rotation),
        }
    }

    /// Reads the keys for the first time.
    pub(crate) async fn open(self) -> Result<Keys, KeySourceError> {
        let current = watch::Sender::new(Arc::new(self.read().await?));
        Ok(Keys {
            source: self,
            current,
        })
    }

    async fn read(&self) -> Result<KeySet, KeySourceError> {
        match self {
            Self::File(path) => {
                let pem = read_secret(VARIABLE, None, Some(path))?.unwrap_or_default();
                KeySet::from_pem(pem.expose_secret()).map_err(KeySourceError::FileContent)
            }
            Self::Store(store, rotation) => {
                Ok(KeySet::from_made(&store.rotate_signing_keys(rotation).await?)?)
            }
        }
    }
}

/// Keys that follow their source.
pub(crate) struct Keys {
    source: KeySource,
    current: watch::Sender<Arc<KeySet>>,
}

impl Keys {
    /// The keys as they are at any time.
    pub(crate) fn current(&self) -> watch::Receiver<Arc<KeySet>> {
        self.current.subscribe()
    }

    /// Keeps them up to date. Keys that were read before stay in use while the source can't be read.
    pub(crate) async fn follow(self, shutdown: CancellationToken) {
        while shutdown
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await
            .is_some()
        {
            match self.source.read().await {
                Ok(keys) => self.replace(keys),
                Err(error) => {
                    tracing::warn!(%error, "the signing keys can't be read; the last ones stay in use");
                }
            }
        }
    }

    fn replace(&self, keys: KeySet) {
        let known = self.current.borrow().clone();
        if known.signer.key_id() != keys.signer.key_id() || known.public != keys.public {
            tracing::info!(
                signer = keys.signer.key_id(),
                published = keys.public.len(),
                "the signing keys have changed"
            );
            self.current.send_replace(Arc::new(keys));
        }
    }
}
