//! The first admin: the account that registration can't make. It is created at start where no account has its email.
//! From then on it is an account like any other: a restart changes neither its password nor its role, so that an admin
//! who was demoted or disabled on purpose does not come back with the next restart. There is always another way in: the
//! last enabled admin can be neither demoted nor disabled.

use chassis::config::{ConfigError, read_secret};
use rules::{email::Email, password};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::{
    Config,
    hashing::{Hasher, HashingError, Party},
    password::Password,
    store::{NewUser, Store, StoreError},
    user::{Name, Role},
};

/// Who is to be admin.
#[derive(Debug)]
pub(crate) struct FirstAdmin {
    email: Email,
    password: Password,
}

/// Why it can't be told whether there is the account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstAdminError {
    /// The database failed.
    #[error("cannot create the first admin: {0}")]
    Store(#[from] StoreError),
    /// Who guesses it has the shop.
    #[error("cannot create the first admin: ADMIN_PASSWORD {0}")]
    WeakPassword(String),
    /// The password can't be hashed.
    #[error("cannot create the first admin: {0}")]
    Hashing(#[from] HashingError),
}

impl FirstAdminError {
    /// Whether the same may succeed a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_pass())
    }
}

impl FirstAdmin {
    /// None where nobody is named. A password without an email, or the other way round, is a mistake.
    pub(crate) fn from_config(config: &Config) -> Result<Option<Self>, ConfigError> {
        let password = read_secret(
            "ADMIN_PASSWORD_FILE",
            config.admin_password.as_ref(),
            config.admin_password_file.as_deref(),
        )?;
        let (email, password) = match (config.admin_email.as_deref(), password) {
            (Some(email), Some(password)) => (email, password),
            (None | Some(""), None) => return Ok(None),
            (Some(_), None) => return Err(ConfigError::Missing("ADMIN_PASSWORD")),
            (None, Some(_)) => {
                return Err(ConfigError::Invalid {
                    variable: "ADMIN_EMAIL",
                    reason: "it must be set where ADMIN_PASSWORD is".to_owned(),
                });
            }
        };
        let invalid = |variable| move |reason| ConfigError::Invalid { variable, reason };
        Ok(Some(Self {
            email: Email::parse(email).map_err(invalid("ADMIN_EMAIL"))?,
            password: Password::presented(password.expose_secret().to_owned())
                .ok_or_else(password::expected)
                .map_err(invalid("ADMIN_PASSWORD"))?,
        }))
    }

    /// Creates the account, unless there is one with its email. May be repeated.
    pub(crate) async fn ensure(&self, store: &Store, hasher: &Hasher) -> Result<(), FirstAdminError> {
        let Self { email, password } = self;
        if let Some(account) = store.account(email).await? {
            let user = account.user;
            if user.role.known() != Some(Role::Admin) || user.disabled {
                tracing::warn!(user.id = %user.id, "ADMIN_EMAIL is the email of an account that is no enabled admin; it stays so");
            }
            return Ok(());
        }
        password
            .check_strength(email.as_str(), "")
            .map_err(FirstAdminError::WeakPassword)?;
        let password = password.clone();
        let hash = hasher
            .admit(Party::default())?
            .run(move |memory| memory.hash(&password))
            .await?;
        let admin = NewUser {
            id: Uuid::now_v7(),
            email,
            name: &Name::default(),
            password_hash: &hash,
        };
        match store.create_admin(&admin).await {
            Ok(user) => {
                tracing::info!(user.id = %user.id, "the first admin was created");
                Ok(())
            }
            // Another replica that starts now was faster.
            Err(StoreError::EmailTaken) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
