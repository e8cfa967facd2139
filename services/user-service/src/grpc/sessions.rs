//! Logging in and out, refreshing, and what sessions there are.

use chassis::grpc::{
    Principal,
    status::{invalid_field, parse_uuid, with_reason},
    timestamp,
};
use proto::user::{
    EndSessionsRequest, EndSessionsResponse, GetStandingsRequest, GetStandingsResponse, ListSessionsRequest,
    ListSessionsResponse, LogInRequest, LogInResponse, LogOutRequest, LogOutResponse, RefreshSessionRequest,
    RefreshSessionResponse, SessionClient, SessionInfo, Standing as StandingMessage,
};
use tonic::{Code, Status};

use super::{Users, hashing_status, message, role_message, store_status};
use crate::{
    email::Email,
    password::{Password, PasswordHash},
    session::{Authentication, Origin, RefreshToken, Session},
    store::{Account, NewSession, Refresh},
    user::{Holder, Standing},
};

/// How many standings one call may ask for.
const MOST_STANDINGS: usize = 500;

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
        let session = NewSession::from(origin(request.client));
        let user = self
            .store
            .open_session(account.user.id, &account.password_hash, &session)
            .await
            .map_err(store_status)?
            .ok_or_else(invalid_credentials)?;
        let authentication = Authentication::now(session.id);
        Ok(LogInResponse {
            session: Some(self.session(&user, authentication, &session.token)?),
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
        principal: &Principal,
        request: RefreshSessionRequest,
    ) -> Result<RefreshSessionResponse, Status> {
        let presented = RefreshToken::presented(request.refresh_token);
        let outcome = self
            .store
            .refresh(principal, &presented, &origin(request.client))
            .await;
        let (user, authentication, next) = match outcome.map_err(store_status)? {
            Refresh::Rotated {
                user,
                authentication,
                next,
            } => (user, authentication, next),
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
            session: Some(self.session(&user, authentication, &next)?),
            user: Some(message(user)),
        })
    }

    pub(super) async fn end_session(
        &self,
        principal: &Principal,
        request: LogOutRequest,
    ) -> Result<LogOutResponse, Status> {
        let presented = RefreshToken::presented(request.refresh_token);
        self.store
            .end_session(principal, &presented)
            .await
            .map_err(store_status)?;
        Ok(LogOutResponse {})
    }

    pub(super) async fn standings(
        &self,
        request: GetStandingsRequest,
    ) -> Result<GetStandingsResponse, Status> {
        if request.holders.len() > MOST_STANDINGS {
            return Err(invalid_field(
                "holders",
                format!("must be at most {MOST_STANDINGS}"),
            ));
        }
        let holders = request.holders.into_iter().map(|holder| {
            let session = holder.session_id.as_deref();
            Ok(Holder {
                user: parse_uuid("holders.user_id", &holder.user_id)?,
                session: session
                    .map(|id| parse_uuid("holders.session_id", id))
                    .transpose()?,
            })
        });
        let holders: Vec<_> = holders.collect::<Result<_, Status>>()?;
        let standings = self.store.standings(&holders).await.map_err(store_status)?;
        Ok(GetStandingsResponse {
            standings: standings.into_iter().map(StandingMessage::from).collect(),
        })
    }

    pub(super) async fn list_live(
        &self,
        request: &ListSessionsRequest,
    ) -> Result<ListSessionsResponse, Status> {
        let user = parse_uuid("user_id", &request.user_id)?;
        let sessions = self.store.sessions(user).await.map_err(store_status)?;
        Ok(ListSessionsResponse {
            sessions: sessions.into_iter().map(SessionInfo::from).collect(),
        })
    }

    pub(super) async fn end(
        &self,
        principal: &Principal,
        request: &EndSessionsRequest,
    ) -> Result<EndSessionsResponse, Status> {
        let user = parse_uuid("user_id", &request.user_id)?;
        let session = request.session_id.as_deref();
        let session = session.map(|id| parse_uuid("session_id", id)).transpose()?;
        self.store
            .end_sessions(principal, user, session)
            .await
            .map_err(store_status)?;
        Ok(EndSessionsResponse {})
    }
}

impl From<Standing> for StandingMessage {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Unknown => Self {
                unknown: true,
                ..Self::default()
            },
            Standing::Account {
                role,
                disabled,
                session_ended,
            } => Self {
                unknown: false,
                disabled,
                role: role_message(role.known()).into(),
                session_ended,
            },
        }
    }
}

impl From<Session> for SessionInfo {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: Some(timestamp(session.created_at)),
            last_used_at: Some(timestamp(session.last_used_at)),
            expires_at: Some(timestamp(session.expires_at)),
            client: Some(SessionClient {
                address: session.origin.address,
                user_agent: session.origin.user_agent,
            }),
        }
    }
}

/// Where a session is used from, as far as the caller says.
pub(super) fn origin(client: Option<SessionClient>) -> Origin {
    let client = client.unwrap_or_default();
    Origin::new(&client.address, &client.user_agent)
}

fn invalid_credentials() -> Status {
    with_reason(
        Code::Unauthenticated,
        "INVALID_CREDENTIALS",
        "the email or the password is wrong",
    )
}
