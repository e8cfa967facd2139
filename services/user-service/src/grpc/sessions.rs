//! Logging in and out, and refreshing.

use chassis::grpc::status::with_reason;
use proto::user::{
    LogInRequest, LogInResponse, LogOutRequest, LogOutResponse, RefreshSessionRequest, RefreshSessionResponse,
};
use tonic::{Code, Status};

use super::{Users, hashing_status, message, store_status};
use crate::{
    email::Email,
    password::{Password, PasswordHash},
    session::RefreshToken,
    store::{Account, Refresh},
    user::User,
};

impl Users {
    pub(super) async fn open_session(&self, request: LogInRequest) -> Result<LogInResponse, Status> {
        // No account has a password like that, whoever asks for which.
        let password = Password::presented(request.password).ok_or_else(invalid_credentials)?;
        let account = self.check_credentials(&request.email, password).await?;
        if account.user.disabled {
            return Err(with_reason(
                Code::PermissionDenied,
                "ACCOUNT_DISABLED",
                "the account is disabled",
            ));
        }
        let token = RefreshToken::generate();
        let user = self
            .store
            .open_session(account.user.id, &account.password_hash, token.hash())
            .await
            .map_err(store_status)?
            .ok_or_else(invalid_credentials)?;
        Ok(LogInResponse {
            session: Some(self.session(&user, &token)?),
            user: Some(message(user)),
        })
    }

    /// The account with that email, if that is its password. An email that nobody has costs as much as a wrong password:
    /// how long the answer takes does not tell who has an account.
    async fn check_credentials(&self, email: &str, password: Password) -> Result<Account, Status> {
        let ticket = self.hasher.admit().map_err(|error| hashing_status(&error))?;
        let account = match Email::parse(email) {
            Some(email) => self.store.account(&email).await.map_err(store_status)?,
            None => None,
        };
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let right = ticket
            .run(move |memory| match stored {
                Some(stored) => memory.matches(&password, &stored),
                None => memory
                    .matches(&password, &PasswordHash::of_no_password()?)
                    .map(|_| false),
            })
            .await
            .map_err(|error| hashing_status(&error))?;
        account.filter(|_| right).ok_or_else(invalid_credentials)
    }

    pub(super) async fn refresh(
        &self,
        request: RefreshSessionRequest,
    ) -> Result<RefreshSessionResponse, Status> {
        let (presented, next) = (
            RefreshToken::presented(request.refresh_token),
            RefreshToken::generate(),
        );
        let outcome = self.store.refresh(presented.hash(), next.hash()).await;
        let user: User = match outcome.map_err(store_status)? {
            Refresh::Rotated(user) => user,
            Refresh::Reused { user_id } => {
                tracing::warn!(user.id = %user_id, "a spent refresh token was presented; its family has ended");
                return Err(with_reason(
                    Code::Unauthenticated,
                    "REFRESH_TOKEN_REUSED",
                    "the refresh token was used before; log in again",
                ));
            }
            Refresh::Invalid => {
                return Err(with_reason(
                    Code::Unauthenticated,
                    "INVALID_REFRESH_TOKEN",
                    "the refresh token is not valid; log in again",
                ));
            }
        };
        Ok(RefreshSessionResponse {
            session: Some(self.session(&user, &next)?),
            user: Some(message(user)),
        })
    }

    pub(super) async fn end_session(&self, request: LogOutRequest) -> Result<LogOutResponse, Status> {
        let presented = RefreshToken::presented(request.refresh_token);
        self.store
            .end_session(presented.hash())
            .await
            .map_err(store_status)?;
        Ok(LogOutResponse {})
    }
}

fn invalid_credentials() -> Status {
    with_reason(
        Code::Unauthenticated,
        "INVALID_CREDENTIALS",
        "the email or the password is wrong",
    )
}
