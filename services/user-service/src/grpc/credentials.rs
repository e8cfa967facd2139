//! Proving who one is: by a password, within what the back-off allows and hashing has room for.

use chassis::{
    grpc::status::{with_reason, with_reason_and_delay},
    security::{self, About, Event},
};
use rules::email::Email;
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Users, hashing_status, store_status};
use crate::{
    backoff::{Attempt, DeviceToken, FREE, Lane},
    hashing::Party,
    password::{Password, PasswordHash},
    session::Origin,
    store::Account,
};

/// What somebody logs in with.
pub(super) struct Credentials {
    pub(super) email: String,
    pub(super) password: String,
    /// What he says he is known by.
    pub(super) device: Option<DeviceToken>,
}

/// Credentials that are right.
pub(super) struct Proof {
    pub(super) account: Account,
    /// Where the device is known.
    pub(super) device: Option<DeviceToken>,
    /// To be forgotten once all is right, or taken back.
    pub(super) counted: Counted,
}

/// An attempt that counts as failed until it is known to be right.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) lane: Lane,
    /// The so-manieth in a row.
    failures: i32,
}

impl Users {
    /// The account with that email, if that is its password. An email that nobody has costs as much as a wrong password,
    /// and has as many attempts: neither how long the answer takes nor what it is tells who has an account.
    pub(super) async fn check_credentials(
        &self,
        credentials: Credentials,
        origin: &Origin,
    ) -> Result<Proof, Status> {
        let Some(password) = Password::presented(credentials.password) else {
            // No account has a password like that, whoever asks for which.
            let message = "a password that nobody can have was given";
            security::record(Event::LoginRefused, about(None, origin), message);
            return Err(invalid_credentials());
        };
        let place = self.hasher.admit(Party::at(&origin.address));
        let place = place.map_err(|error| hashing_status(&error))?;
        let account = match Email::parse(&credentials.email) {
            Ok(email) => self.store.account(&email).await.map_err(store_status)?,
            Err(_) => None,
        };
        let user = account.as_ref().map(|account| account.user.id);
        let device = match credentials.device {
            Some(device) => self
                .store
                .knows_device(user, &device)
                .await
                .map_err(store_status)?
                .then_some(device),
            None => None,
        };
        let lane = device
            .as_ref()
            .map_or_else(|| Lane::of_email(&credentials.email), Lane::of_device);
        let about = about(user, origin);
        let place = place.of(lane).map_err(|error| hashing_status(&error))?;
        let counted = self.count(lane, about).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let hashed = place.run(move |memory| match stored {
            Some(stored) => memory.matches(&password, &stored),
            None => memory
                .matches(&password, &PasswordHash::of_no_password()?)
                .map(|_| false),
        });
        let right = match hashed.await {
            Ok(right) => right,
            Err(error) => {
                self.take_back(&counted).await;
                return Err(hashing_status(&error));
            }
        };
        let Some(account) = account.filter(|_| right) else {
            let message = "a wrong email or password was given";
            failed(&counted, Event::LoginRefused, about, message);
            return Err(invalid_credentials());
        };
        Ok(Proof {
            account,
            device,
            counted,
        })
    }

    /// Whether that is the password of an account with that hash, whose holder gives it once more; and the hash of the new
    /// one, if so.
    pub(super) async fn check_current_password(
        &self,
        user: Uuid,
        current: Password,
        stored: PasswordHash,
        new: Password,
        origin: &Origin,
    ) -> Result<PasswordHash, Status> {
        let (lane, about) = (Lane::of_holder(user), about(Some(user), origin));
        let place = self.hasher.admit(Party::at(&origin.address));
        let place = place.and_then(|place| place.of(lane));
        let place = place.map_err(|error| hashing_status(&error))?;
        let counted = self.count(lane, about).await?;
        let hashed = place.run(move |memory| {
            if memory.matches(&current, &stored)? {
                memory.hash(&new).map(Some)
            } else {
                Ok(None)
            }
        });
        match hashed.await {
            Ok(Some(hash)) => Ok(hash),
            Ok(None) => {
                failed(
                    &counted,
                    Event::ProofRefused,
                    about,
                    "a wrong current password was given",
                );
                Err(wrong_password())
            }
            Err(error) => {
                self.take_back(&counted).await;
                Err(hashing_status(&error))
            }
        }
    }

    /// Counts an attempt, or refuses it.
    pub(super) async fn count(&self, lane: Lane, about: About<'_>) -> Result<Counted, Status> {
        match self.store.count_attempt(&lane).await.map_err(store_status)? {
            Attempt::Counted(failures) => Ok(Counted { lane, failures }),
            Attempt::Refused(wait) => {
                let message = "too many attempts before it had failed";
                security::record(Event::LoginBackedOff, about, message);
                Err(with_reason_and_delay(
                    Code::ResourceExhausted,
                    "TOO_MANY_FAILED_ATTEMPTS",
                    "too many attempts have failed; wait before the next",
                    wait,
                ))
            }
        }
    }

    /// Takes back an attempt of which nobody knows whether it is right, or that is not held against anybody. Where that
    /// fails one attempt fewer is left.
    pub(super) async fn take_back(&self, counted: &Counted) {
        if let Err(error) = self.store.take_back_attempt(&counted.lane).await {
            tracing::warn!(%error, "an attempt to log in can't be taken back");
        }
    }
}

/// Tells of an attempt that was wrong, and of the wait that it begins.
pub(super) fn failed(counted: &Counted, event: Event, about: About<'_>, message: &str) {
    security::record(event, about, message);
    if counted.failures == FREE {
        let message = "so many attempts have failed in a row that the next have to wait";
        security::record(Event::BackOffBegun, about, message);
    }
}

fn about(user: Option<Uuid>, origin: &Origin) -> About<'_> {
    About {
        user,
        actor: None,
        address: &origin.address,
    }
}

pub(super) fn invalid_credentials() -> Status {
    with_reason(
        Code::Unauthenticated,
        "INVALID_CREDENTIALS",
        "the email or the password is wrong",
    )
}

pub(super) fn wrong_password() -> Status {
    with_reason(
        Code::Unauthenticated,
        "WRONG_PASSWORD",
        "the current password is wrong",
    )
}
