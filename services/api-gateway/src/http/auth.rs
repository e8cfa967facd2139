//! `/auth`: getting, renewing and ending a session.

use axum::{Json as Answer, extract::State, http::StatusCode};
use proto::user::{
    LogInRequest, LogOutRequest, RefreshSessionRequest, RegisterRequest, Session as SessionMessage,
    User as UserMessage,
};
use rules::{account, email::Email, password};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::{Anybody, Origin},
    decode::{Checked, Faults, Nullable},
    input::Json,
    refresh_cookie::{RefreshCookie, SetCookie},
    users::User,
};
use crate::problem::Problem;

/// Who is logged in, and the tokens.
#[derive(Serialize, ToSchema)]
struct Session {
    user: User,
    /// For `Authorization: Bearer <token>`.
    token: String,
    /// Good once, for `POST /auth/refresh`. Left out where it is a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    refresh_token: Option<String>,
    /// Seconds until the token expires.
    #[schema(example = 900)]
    expires_in: i64,
    /// To be kept beyond the session and sent with the next login from here: wrong passwords from elsewhere then keep
    /// nobody waiting. By itself it opens nothing. Not in the answer of `POST /auth/refresh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    device_token: Option<String>,
}

/// A new account. It is always a user's: admins are made by admins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    /// Unique without regard to case. An internationalised domain is kept in punycode; before the @ stands ASCII.
    #[schema(example = "ada@example.com")]
    email: String,
    /// 8 to 128 characters.
    #[schema(min_length = 8, max_length = 128, example = "correct horse")]
    password: String,
    /// For display; at most 200 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200, example = "Ada")]
    name: Nullable<String>,
    /// Whether the refresh token is to be a cookie, which no script can read, instead of part of the answer. For pages of this
    /// origin.
    #[schema(nullable = false)]
    cookie: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.com", "password": "correct horse"}))]
struct Credentials {
    #[schema(example = "ada@example.com")]
    email: String,
    #[schema(example = "correct horse")]
    password: String,
    /// What the last login or registration from here answered. One that is not known counts for nothing.
    #[schema(nullable = false)]
    device_token: Option<String>,
    /// As the authenticator app shows it now, where the account has a second factor. Each is taken once.
    #[schema(nullable = false, example = "123456")]
    code: Option<String>,
    /// In the place of a code, once.
    #[schema(nullable = false)]
    recovery_code: Option<String>,
    /// Whether the refresh token is to be a cookie, which no script can read, instead of part of the answer. For pages of this
    /// origin.
    #[schema(nullable = false)]
    cookie: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshToken {
    /// As it was given last; left out where it is a cookie.
    #[schema(nullable = false)]
    refresh_token: Option<String>,
}

impl Checked for Registration {
    fn check(&self, faults: &mut Faults) {
        let name = self.name.as_deref().unwrap_or_default();
        faults.take("email", Email::parse(&self.email));
        faults.take("password", password::chosen(&self.password, &self.email, name));
        faults.take("name", account::name(name));
    }
}

/// Whether they are right user-service says, in one way for all that are not.
impl Checked for Credentials {
    fn check(&self, faults: &mut Faults) {
        faults.take("email", account::presented_email(&self.email));
        faults.take("password", account::presented_password(&self.password));
        faults.text(
            "device_token",
            self.device_token.as_deref(),
            account::device_token,
        );
        faults.text("code", self.code.as_deref(), account::code);
        faults.text("recovery_code", self.recovery_code.as_deref(), account::code);
    }
}

impl Checked for RefreshToken {
    fn check(&self, faults: &mut Faults) {
        faults.text(
            "refresh_token",
            self.refresh_token.as_deref(),
            account::refresh_token,
        );
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
}

/// Opens an account, and its first session.
#[utoipa::path(
    post, path = "/auth/register", tag = "auth", request_body = Registration,
    responses(
        (status = 201, body = Session),
        (status = 403, description = "A page of another origin asks for the cookie"),
        (status = 409, description = "The email has an account already"),
    ),
)]
async fn register(
    State(api): State<Api>,
    anybody: Anybody,
    Origin(client): Origin,
    cookie: RefreshCookie,
    Json(wanted): Json<Registration>,
) -> Result<(StatusCode, SetCookie, Answer<Session>), Problem> {
    let cookie = asked_for(wanted.cookie, cookie)?;
    let request = RegisterRequest {
        email: wanted.email,
        password: wanted.password,
        name: wanted.name.value().unwrap_or_default(),
        client: Some(client),
    };
    let request = anybody.request(request);
    let answer = api.backends.users.clone().register(request).await?.into_inner();
    let device = Some(answer.device_token);
    let (cookie, answer) = session(answer.user, answer.session, device, cookie.as_ref())?;
    Ok((StatusCode::CREATED, cookie, answer))
}

/// Opens a session. After ten wrong attempts in a row the next has to wait, for a second and then twice as long each time,
/// up to a quarter of an hour; who sends a `device_token` has ten of his own.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth", request_body = Credentials,
    responses(
        (status = 200, body = Session),
        (
            status = 401,
            description = "There is no account with that email and password; or it has a second factor, and the code is \
                           missing or wrong"
        ),
        (status = 403, description = "The account is disabled; or a page of another origin asks for the cookie"),
        (status = 429, description = "Too many attempts have failed; Retry-After says when the next is looked at"),
    ),
)]
async fn log_in(
    State(api): State<Api>,
    Origin(client): Origin,
    cookie: RefreshCookie,
    Json(credentials): Json<Credentials>,
) -> Result<(SetCookie, Answer<Session>), Problem> {
    let cookie = asked_for(credentials.cookie, cookie)?;
    let request = LogInRequest {
        email: credentials.email,
        password: credentials.password,
        client: Some(client),
        device_token: credentials.device_token.unwrap_or_default(),
        code: credentials.code,
        recovery_code: credentials.recovery_code,
    };
    let answer = api.backends.users.clone().log_in(request).await?.into_inner();
    session(
        answer.user,
        answer.session,
        Some(answer.device_token),
        cookie.as_ref(),
    )
}

/// Trades a refresh token for new tokens. One that was traded before ends the session: somebody else has a copy. Only the
/// last one gets the same tokens again for ten seconds, in case the answer was lost. A token that comes as a cookie is
/// answered with another cookie.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth", request_body = RefreshToken,
    responses(
        (status = 200, body = Session),
        (status = 401, description = "The token is not good, or not any more"),
        (status = 403, description = "The cookie came from a page of another origin"),
    ),
)]
async fn refresh(
    State(api): State<Api>,
    anybody: Anybody,
    Origin(client): Origin,
    cookie: RefreshCookie,
    Json(given): Json<RefreshToken>,
) -> Result<(SetCookie, Answer<Session>), Problem> {
    let in_cookie = given.refresh_token.is_none();
    let refresh_token = given.token(&cookie)?;
    let request = RefreshSessionRequest {
        refresh_token,
        client: Some(client),
    };
    let answer = api
        .backends
        .users
        .clone()
        .refresh_session(anybody.request(request))
        .await?
        .into_inner();
    session(answer.user, answer.session, None, in_cookie.then_some(&cookie))
}

/// Ends a session, its token included.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth", request_body = RefreshToken,
    responses(
        (status = 204, description = "The session has ended, or there was none"),
        (status = 403, description = "The cookie came from a page of another origin"),
    ),
)]
async fn log_out(
    State(api): State<Api>,
    anybody: Anybody,
    cookie: RefreshCookie,
    Json(given): Json<RefreshToken>,
) -> Result<(StatusCode, SetCookie, ()), Problem> {
    let forgotten = match given.refresh_token {
        Some(_) => None,
        None => cookie.forget()?,
    };
    let refresh_token = given.token(&cookie)?;
    api.backends
        .users
        .clone()
        .log_out(anybody.request(LogOutRequest { refresh_token }))
        .await?;
    Ok((StatusCode::NO_CONTENT, forgotten, ()))
}

impl RefreshToken {
    /// The one of the body, or else the one of the cookie.
    fn token(self, cookie: &RefreshCookie) -> Result<String, Problem> {
        match self.refresh_token {
            Some(token) => Ok(token),
            None => match cookie.token()? {
                Some(token) => Ok(token.to_owned()),
                None => Err(Problem::invalid_field("refresh_token", "is missing")),
            },
        }
    }
}

/// The cookie that a page asks for. An error is a page of another origin, which would log its visitors in here.
fn asked_for(wanted: Option<bool>, cookie: RefreshCookie) -> Result<Option<RefreshCookie>, Problem> {
    if wanted.unwrap_or_default() {
        cookie.may_be_used()?;
        Ok(Some(cookie))
    } else {
        Ok(None)
    }
}

fn session(
    user: Option<UserMessage>,
    session: Option<SessionMessage>,
    device: Option<String>,
    cookie: Option<&RefreshCookie>,
) -> Result<(SetCookie, Answer<Session>), Problem> {
    let (Some(user), Some(session)) = (user, session) else {
        return Err(Problem::internal());
    };
    let kept = match cookie {
        Some(cookie) => cookie.keep(&session.refresh_token)?,
        None => None,
    };
    let answer = Answer(Session {
        user: user.into(),
        token: session.access_token,
        refresh_token: cookie.is_none().then_some(session.refresh_token),
        expires_in: session.expires_in_seconds,
        // A user-service of the version before gives none.
        device_token: device.filter(|token| !token.is_empty()),
    });
    Ok((kept, answer))
}
