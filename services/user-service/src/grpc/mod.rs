//! The gRPC service: reads requests, refuses those that are not well formed, and puts answers and errors into the
//! contract's words.

mod accounts;
mod credentials;
mod second_factors;
mod sessions;

use chassis::{
    grpc::{
        Principal,
        status::{invalid_field, with_reason},
        timestamp,
    },
    postgres,
};
use proto::user::{
    BeginSecondFactorRequest, BeginSecondFactorResponse, ConfirmSecondFactorRequest,
    ConfirmSecondFactorResponse, EndSessionsRequest, EndSessionsResponse, GetSecondFactorRequest,
    GetSecondFactorResponse, GetSigningKeysRequest, GetSigningKeysResponse, GetStandingsRequest,
    GetStandingsResponse, GetUserRequest, GetUserResponse, ListSessionsRequest, ListSessionsResponse,
    ListUsersRequest, ListUsersResponse, LogInRequest, LogInResponse, LogOutRequest, LogOutResponse,
    RefreshSessionRequest, RefreshSessionResponse, RegisterRequest, RegisterResponse,
    RemoveSecondFactorRequest, RemoveSecondFactorResponse, Role as RoleMessage, Session, SigningKey,
    UpdateProfileRequest, UpdateProfileResponse, UpdateUserRequest, UpdateUserResponse, User as UserMessage,
    user_service_server::UserService,
};
use tonic::{Code, Request, Response, Status};

use crate::{
    hashing::{Hasher, HashingError},
    session::{Authentication, RefreshToken},
    store::{Store, StoreError},
    token::Issuer,
    user::{Role, User},
};

/// Answers the calls of `shop.user.v1.UserService`.
#[derive(Clone)]
pub(crate) struct Users {
    store: Store,
    hasher: Hasher,
    issuer: Issuer,
}

impl Users {
    /// With all that it takes.
    pub(crate) fn new(store: Store, hasher: Hasher, issuer: Issuer) -> Self {
        Self {
            store,
            hasher,
            issuer,
        }
    }

    /// The tokens of a session whose refresh token is stored.
    fn session(
        &self,
        user: &User,
        authentication: Authentication,
        refresh_token: &RefreshToken,
    ) -> Result<Session, Status> {
        let access_token = self.issuer.issue(user, authentication).map_err(|error| {
            tracing::error!(%error, "an access token can't be signed");
            Status::internal("internal error")
        })?;
        Ok(Session {
            access_token,
            expires_in_seconds: i64::try_from(self.issuer.lifetime().as_secs()).unwrap_or(i64::MAX),
            refresh_token: refresh_token.reveal(),
        })
    }
}

#[tonic::async_trait]
impl UserService for Users {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        self.create_account(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn log_in(&self, request: Request<LogInRequest>) -> Result<Response<LogInResponse>, Status> {
        self.open_session(request.into_inner()).await.map(Response::new)
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        self.refresh(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn log_out(&self, request: Request<LogOutRequest>) -> Result<Response<LogOutResponse>, Status> {
        self.end_session(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        self.get(&request.into_inner()).await.map(Response::new)
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        self.list(request.into_inner()).await.map(Response::new)
    }

    async fn update_profile(
        &self,
        request: Request<UpdateProfileRequest>,
    ) -> Result<Response<UpdateProfileResponse>, Status> {
        self.change_profile(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<UpdateUserResponse>, Status> {
        self.change_access(&Principal::of(&request), &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_signing_keys(
        &self,
        _: Request<GetSigningKeysRequest>,
    ) -> Result<Response<GetSigningKeysResponse>, Status> {
        let keys = self.issuer.public_keys().into_iter().map(|key| SigningKey {
            key_id: key.key_id,
            algorithm: "EdDSA".to_owned(),
            x: key.x,
        });
        Ok(Response::new(GetSigningKeysResponse { keys: keys.collect() }))
    }

    async fn get_standings(
        &self,
        request: Request<GetStandingsRequest>,
    ) -> Result<Response<GetStandingsResponse>, Status> {
        self.standings(request.into_inner()).await.map(Response::new)
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        self.list_live(&request.into_inner()).await.map(Response::new)
    }

    async fn end_sessions(
        &self,
        request: Request<EndSessionsRequest>,
    ) -> Result<Response<EndSessionsResponse>, Status> {
        self.end(&Principal::of(&request), &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_second_factor(
        &self,
        request: Request<GetSecondFactorRequest>,
    ) -> Result<Response<GetSecondFactorResponse>, Status> {
        self.second_factor(&request.into_inner()).await.map(Response::new)
    }

    async fn begin_second_factor(
        &self,
        request: Request<BeginSecondFactorRequest>,
    ) -> Result<Response<BeginSecondFactorResponse>, Status> {
        self.begin(&request.into_inner()).await.map(Response::new)
    }

    async fn confirm_second_factor(
        &self,
        request: Request<ConfirmSecondFactorRequest>,
    ) -> Result<Response<ConfirmSecondFactorResponse>, Status> {
        self.confirm(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn remove_second_factor(
        &self,
        request: Request<RemoveSecondFactorRequest>,
    ) -> Result<Response<RemoveSecondFactorResponse>, Status> {
        self.remove(&Principal::of(&request), request.into_inner())
            .await
            .map(Response::new)
    }
}

/// What a caller is told of an error of the store.
fn store_status(error: StoreError) -> Status {
    let message = error.to_string();
    match error {
        StoreError::EmailTaken => with_reason(Code::AlreadyExists, "EMAIL_TAKEN", message),
        StoreError::NotFound => with_reason(Code::NotFound, "USER_NOT_FOUND", message),
        StoreError::PasswordChanged => with_reason(Code::Unauthenticated, "WRONG_PASSWORD", message),
        StoreError::LastAdmin => with_reason(Code::FailedPrecondition, "LAST_ADMIN", message),
        StoreError::NoAdmin => with_reason(Code::PermissionDenied, "FORBIDDEN", message),
        StoreError::NoSession => with_reason(Code::NotFound, "SESSION_NOT_FOUND", message),
        StoreError::SecondFactorOn => with_reason(Code::FailedPrecondition, "MFA_ALREADY_ON", message),
        StoreError::SecondFactorNotBegun => with_reason(Code::FailedPrecondition, "MFA_NOT_BEGUN", message),
        StoreError::SecondFactorOff => with_reason(Code::FailedPrecondition, "MFA_OFF", message),
        StoreError::Key(error) => {
            tracing::error!(%error, "a signing key can't be made or read");
            Status::internal("internal error")
        }
        StoreError::Event(error) => {
            tracing::error!(%error, "an event can't be written down");
            Status::internal("internal error")
        }
        StoreError::Database(error) => postgres::status(error),
    }
}

/// What a caller is told where nothing was hashed.
fn hashing_status(error: &HashingError) -> Status {
    match error {
        HashingError::Busy => with_reason(Code::ResourceExhausted, "HASHING_BUSY", error.to_string()),
        HashingError::Password(_) | HashingError::Abandoned => {
            tracing::error!(%error, "a password can't be checked or hashed");
            Status::internal("internal error")
        }
    }
}

/// A role as it may be asked for.
fn role(value: i32) -> Result<Role, Status> {
    match RoleMessage::try_from(value) {
        Ok(RoleMessage::User) => Ok(Role::User),
        Ok(RoleMessage::Admin) => Ok(Role::Admin),
        Ok(RoleMessage::Unspecified) | Err(_) => Err(invalid_field("role", "must be one of the known roles")),
    }
}

fn role_message(role: Option<Role>) -> RoleMessage {
    match role {
        Some(Role::User) => RoleMessage::User,
        Some(Role::Admin) => RoleMessage::Admin,
        None => RoleMessage::Unspecified,
    }
}

fn message(user: User) -> UserMessage {
    let role = role_message(user.role.known());
    UserMessage {
        id: user.id.to_string(),
        email: user.email,
        name: user.name,
        role: role.into(),
        role_name: user.role.as_str().to_owned(),
        disabled: user.disabled,
        created_at: Some(timestamp(user.created_at)),
        updated_at: Some(timestamp(user.updated_at)),
    }
}
