//! Logging in and out, refreshing, and what sessions there are.

use chassis::{
    grpc::{
        Principal,
        status::{invalid_field, parse_uuid, with_reason},
        timestamp,
    },
    security::{self, About, Event},
};
use proto::user::{
    EndSessionsRequest, EndSessionsResponse, GetStandingsRequest, GetStandingsResponse, ListSessionsRequest,
    ListSessionsResponse, LogInRequest, LogInResponse, LogOutRequest, LogOutResponse, RefreshSessionRequest,
    RefreshSessionResponse, SessionClient, SessionInfo, Standing as StandingMessage,
};
use tonic::{Code, Status};

use super::{
    Users,
    credentials::{Credentials, failed, invalid_credentials},
    message, role_message, store_status,
};
use crate::{
    backoff::DeviceToken,
    second_factor::Given,
    session::{Authentication, Origin, RefreshToken, Session},
    store::{NewSession, Opened, Proven, Refresh},
    user::{Holder, Standing},
};

/// How many standings one call may ask for.
const MOST_STANDINGS: usize = 500;

impl Users {
    pub(super) async fn open_session(&self, request: LogInRequest) -> Result<LogInResponse, Status> {
        let origin = origin(request.client);
        let credentials = Credentials {
            email: request.email,
            password: request.password,
            device: DeviceToken::presented(request.device_token),
        };
        let proof = self.check_credentials(credentials, &origin).await?;
        let account = &proof.account;
        if account.user.disabled {
            self.take_back(&proof.counted).await;
            return Err(with_reason(
                Code::PermissionDenied,
                "ACCOUNT_DISABLED",
                "the account is disabled",
            ));
        }
        let device = proof.device.unwrap_or_else(DeviceToken::generate);
        let given = Given::from_request(request.code, request.recovery_code.as_deref());
        let proven = Proven {
            password: &account.password_hash,
            second_factor: &given,
            lane: &proof.counted.lane,
            device: &device,
        };
        let address = origin.address.clone();
        let about = About {
            user: Some(account.user.id),
            actor: None,
            address: &address,
        };
        let session = NewSession::from(origin);
        let opened = self.store.open_session(account.user.id, proven, &session).await;
        let user = match opened.map_err(store_status)? {
            Opened::Session(user, by_recovery) => {
                if by_recovery {
                    let message = "a recovery code took the place of the second factor";
                    security::record(Event::RecoveryCodeUsed, about, message);
                }
                user
            }
            Opened::NotAnyMore => return Err(invalid_credentials()),
            Opened::NeedsSecondFactor => {
                self.take_back(&proof.counted).await;
                return Err(with_reason(
                    Code::Unauthenticated,
                    "MFA_REQUIRED",
                    "the account has a second factor: send the same with the code of the app, or a recovery_code",
                ));
            }
            Opened::WrongSecondFactor => {
                failed(
                    &proof.counted,
                    Event::LoginRefused,
                    about,
                    "a wrong code was given",
                );
                return Err(with_reason(
                    Code::Unauthenticated,
                    "INVALID_MFA_CODE",
                    "the code is wrong, or was used before",
                ));
            }
        };
        let authentication = Authentication::now(session.id);
        Ok(LogInResponse {
            session: Some(self.session(&user, authentication, &session.token)?),
            user: Some(message(user)),
            device_token: device.reveal(),
        })
    }

    pub(super) async fn refresh(
        &self,
        principal: &Principal,
        request: RefreshSessionRequest,
    ) -> Result<RefreshSessionResponse, Status> {
        let presented = RefreshToken::presented(request.refresh_token);
        let origin = origin(request.client);
        let outcome = self.store.refresh(principal, &presented, &origin).await;
        let (user, authentication, next) = match outcome.map_err(store_status)? {
            Refresh::Rotated {
                user,
                authentication,
                next,
            } => (user, authentication, next),
            Refresh::Reused { user_id } => {
                security::record(
                    Event::RefreshTokenReused,
                    About {
                        user: Some(user_id),
                        address: &origin.address,
                        ..About::default()
                    },
                    "a spent refresh token was presented; its family has ended",
                );
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
                second_factor,
            } => Self {
                unknown: false,
                disabled,
                role: role_message(role.known()).into(),
                session_ended,
                second_factor,
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
