//! Who calls: found once per request, from the token, before anything else is done. What they may do is looked up only
//! where it matters, when a handler asks for its [`Caller`].

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use access_token::{Claims, Role};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, StatusCode, header, request::Parts},
};
use chassis::grpc::{Principal, PrincipalKind};
use proto::user::SessionClient;
use time::OffsetDateTime;
use tokio::time::sleep;
use tonic::Request;
use uuid::Uuid;

use super::{
    Api,
    input::{Unreadable, single},
};
use crate::{
    authority::{Holder, Standing, Unknown},
    problem::Problem,
    rate_limit::Client,
    token::TokenError,
};

/// What a session is told of the program that uses it, in characters.
const MAX_USER_AGENT: usize = 200;
/// Whoever is answered for long is looked up this often, and what was found before is good so long: a change is noticed
/// within the sum of both.
const LOOKED_UP_EVERY: Duration = Duration::from_millis(400);

/// An account that is logged in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The account.
    pub(super) id: Uuid,
    /// What it may do now.
    role: Role,
    /// Whether it could do more, had its session been opened with a second factor.
    lacks_second_factor: bool,
    token: Token,
    /// Where the request comes from.
    from: IpAddr,
}

/// What matters of a token that is genuine.
#[derive(Clone, Copy, Debug)]
struct Token {
    holder: Holder,
    /// What its holder could do when it was issued.
    role: Role,
    /// When the password was given, in seconds since 1970; none where it is not known.
    authenticated_at: Option<i64>,
    /// In seconds since 1970.
    expires_at: i64,
}

/// An account that is logged in, and an admin's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admin(pub(super) Caller);

/// Whoever it is, with a token or without.
pub(super) struct Anybody(Principal);

/// Where a session is used from.
pub(super) struct Origin(pub(super) SessionClient);

/// What is known of whoever calls.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// As the connection or a trusted proxy says.
    from: IpAddr,
    /// A problem where there is no token, or none that is good. It matters only where a caller is needed: a browser
    /// that sends its expired token with every request may still read the catalogue and refresh.
    token: Result<Token, Problem>,
}

impl Caller {
    /// Whether it may see and change what is not its own.
    pub(super) fn is_admin(self) -> bool {
        self.role == Role::Admin
    }

    /// A call on its behalf, for one that changes something: the service records whose doing it is.
    pub(super) fn request<M>(self, message: M) -> Request<M> {
        let kind = match self.role {
            Role::User => PrincipalKind::User,
            Role::Admin => PrincipalKind::Admin,
        };
        Principal::anonymous(self.from)
            .proven(kind.into(), self.id, self.session())
            .request(message)
    }

    /// The session; none where a version before issued the token.
    pub(super) fn session(self) -> Option<Uuid> {
        self.token.holder.session
    }

    /// Whose standing decides.
    pub(super) fn holder(self) -> Holder {
        self.token.holder
    }

    /// Refuses where the password was not given within the last `age`: what is asked for is worth a stolen token.
    pub(super) fn logged_in_within(self, age: Duration) -> Result<(), Problem> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let recent = self.token.authenticated_at.is_some_and(|at| {
            let passed = u64::try_from(now.saturating_sub(at)).unwrap_or_default();
            passed <= age.as_secs()
        });
        if recent {
            Ok(())
        } else {
            Err(Problem::recent_login_required(age))
        }
    }

    /// Returns within a second of when it may not be answered any more as it was: the token has expired, the session or
    /// the account has ended, or its role is another.
    pub(super) async fn ended(self, api: Api) {
        loop {
            let now = OffsetDateTime::now_utc().unix_timestamp();
            let left = u64::try_from(self.token.expires_at.saturating_sub(now)).unwrap_or_default();
            sleep(LOOKED_UP_EVERY.min(Duration::from_secs(left))).await;
            let standing = api
                .authority
                .standing_within(self.token.holder, LOOKED_UP_EVERY)
                .await;
            let as_before = match standing {
                Ok(standing) => self.token.role_in(standing).is_ok_and(|role| role == self.role),
                Err(Unknown) => !self.is_admin(),
            };
            let expired = self.token.expires_at <= OffsetDateTime::now_utc().unix_timestamp();
            if expired || !as_before {
                return;
            }
        }
    }

    /// The account whose orders it is confined to; none for an admin.
    pub(super) fn confined_to(self) -> Option<String> {
        (!self.is_admin()).then(|| self.id.to_string())
    }
}

impl Anybody {
    /// A call on behalf of somebody who is not logged in, for one that changes something. The service knows whose doing it is
    /// where what it is given proves that.
    pub(super) fn request<M>(&self, message: M) -> Request<M> {
        self.0.request(message)
    }
}

impl Identity {
    /// Of a request that was let in.
    fn of(parts: &Parts) -> Result<&Self, Problem> {
        parts.extensions.get().ok_or_else(Problem::internal)
    }

    /// Whether there is a token of ours.
    pub(super) fn is_known(&self) -> bool {
        self.token.is_ok()
    }

    /// Where the request comes from.
    pub(super) fn address(&self) -> IpAddr {
        self.from
    }

    /// Who is counted for the request.
    pub(super) fn client(&self) -> Client {
        match &self.token {
            Ok(token) => Client::Account(token.holder.user),
            Err(_) => Client::Address(self.from),
        }
    }
}

/// Whose request it is. Handlers find it in the request's extensions.
pub(super) async fn identify(api: &Api, headers: &HeaderMap, extensions: &Extensions) -> Identity {
    let from = api.limiter.origin(peer(extensions), headers);
    Identity {
        from,
        token: token(api, headers).await,
    }
}

/// The other end of the connection.
pub(super) fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
}

async fn token(api: &Api, headers: &HeaderMap) -> Result<Token, Problem> {
    let header = single(headers, &header::AUTHORIZATION)
        .map_err(|Unreadable| Problem::bad_token("the Authorization header can't be read"))?
        .ok_or_else(Problem::no_token)?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::no_token());
    }
    let claims = api
        .verifier
        .verify(token.trim())
        .await
        .map_err(|error| match error {
            TokenError::Invalid => Problem::bad_token("the token is not valid; log in again"),
            TokenError::Expired => Problem::bad_token("the token has expired; refresh it, or log in again"),
            TokenError::NoKeys => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "tokens can't be checked now: user-service is not available",
            ),
        })?;
    Ok(Token::from(&claims))
}

impl From<&Claims> for Token {
    fn from(claims: &Claims) -> Self {
        Self {
            holder: Holder::from(claims),
            role: claims.role,
            authenticated_at: claims.auth_time,
            expires_at: claims.exp,
        }
    }
}

impl Token {
    /// What its holder may do, whose standing that is.
    fn role_in(self, standing: Standing) -> Result<Role, Problem> {
        match standing {
            Standing::Active(role) => Ok(role),
            Standing::WithoutSecondFactor => Ok(Role::User),
            Standing::AsTheTokenSays => Ok(self.role),
            Standing::NoAccount => Err(Problem::bad_token("the account is disabled, or there is none")),
            Standing::SessionEnded => Err(Problem::bad_token("the session has ended; log in again")),
        }
    }

    /// What its holder may do where that can't be asked: a customer can read, until the token expires.
    fn role_in_doubt(self, parts: &Parts) -> Result<Role, Problem> {
        if parts.method.is_safe() && self.role == Role::User {
            return Ok(Role::User);
        }
        Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "what you may do can't be looked up now: user-service is not available",
        ))
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let identity = Identity::of(parts)?;
        let (token, from) = (identity.token.clone()?, identity.from);
        let standing = api.authority.standing(token.holder).await;
        let role = match standing {
            Ok(standing) => token.role_in(standing)?,
            Err(Unknown) => token.role_in_doubt(parts)?,
        };
        Ok(Self {
            id: token.holder.user,
            role,
            lacks_second_factor: standing == Ok(Standing::WithoutSecondFactor),
            token,
            from,
        })
    }
}

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, api).await?;
        if caller.is_admin() {
            Ok(Self(caller))
        } else if caller.lacks_second_factor {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "admin-mfa-required",
                "admins need a second factor: set one up at POST /users/me/mfa, or log in again with its code",
            ))
        } else {
            Err(Problem::forbidden("only an admin may do this"))
        }
    }
}

impl FromRequestParts<Api> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        Self::of(parts).cloned()
    }
}

impl FromRequestParts<Api> for Anybody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let identity = Identity::of(parts)?;
        Ok(Self(Principal::anonymous(identity.from)))
    }
}

impl FromRequestParts<Api> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let identity = Identity::of(parts)?;
        let address = identity.from.to_string();
        let user_agent = parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        Ok(Self(SessionClient {
            address,
            user_agent: user_agent
                .unwrap_or_default()
                .chars()
                .take(MAX_USER_AGENT)
                .collect(),
        }))
    }
}
