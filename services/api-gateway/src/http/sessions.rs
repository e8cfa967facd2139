//! `/users/me/sessions`: where one is logged in.

use axum::{Json as Answer, extract::State, http::StatusCode};
use chassis::grpc::from_timestamp;
use proto::user::{EndSessionsRequest, ListSessionsRequest, SessionInfo};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{Api, caller::Caller, input::Id, timestamp};
use crate::{backends::read, problem::Problem};

/// A session that one is logged in with.
#[derive(Serialize, ToSchema)]
struct LiveSession {
    /// UUIDv7.
    #[schema(format = Uuid)]
    id: String,
    /// When it was opened.
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    created_at: Option<OffsetDateTime>,
    /// When its tokens were renewed last.
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    last_used_at: Option<OffsetDateTime>,
    /// When it ends if it is not used.
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    expires_at: Option<OffsetDateTime>,
    /// Where it was used from last; empty where that is not known.
    #[schema(max_length = 64, example = "192.0.2.1")]
    address: String,
    /// What the program called itself.
    #[schema(max_length = 200)]
    user_agent: String,
    /// Whether this request belongs to it.
    current: bool,
}

/// The sessions of an account, the one used last first.
#[derive(Serialize, ToSchema)]
struct LiveSessions {
    /// 50 at most.
    #[schema(max_items = 50)]
    items: Vec<LiveSession>,
}

impl LiveSession {
    fn new(session: SessionInfo, current: Option<Uuid>) -> Self {
        let client = session.client.unwrap_or_default();
        Self {
            current: current.is_some_and(|current| current.to_string() == session.id),
            id: session.id,
            created_at: from_timestamp(session.created_at.as_ref()),
            last_used_at: from_timestamp(session.last_used_at.as_ref()),
            expires_at: from_timestamp(session.expires_at.as_ref()),
            address: client.address,
            user_agent: client.user_agent,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, end_all))
        .routes(routes!(end_one))
}

/// One's own live sessions.
#[utoipa::path(
    get, path = "/users/me/sessions", tag = "users", security(("token" = [])),
    responses((status = 200, body = LiveSessions)),
)]
async fn list(State(api): State<Api>, caller: Caller) -> Result<Answer<LiveSessions>, Problem> {
    let request = ListSessionsRequest {
        user_id: caller.id.to_string(),
    };
    let answer = read(&api.backends.users, request, |mut users, request| async move {
        users.list_sessions(request).await
    });
    let sessions = answer.await?.sessions.into_iter();
    Ok(Answer(LiveSessions {
        items: sessions
            .map(|session| LiveSession::new(session, caller.session()))
            .collect(),
    }))
}

/// Logs out everywhere, here too.
#[utoipa::path(
    delete, path = "/users/me/sessions", tag = "users", security(("token" = [])),
    responses((status = 204, description = "Every session has ended")),
)]
async fn end_all(State(api): State<Api>, caller: Caller) -> Result<StatusCode, Problem> {
    end(&api, &caller, None).await
}

/// Ends one of one's own sessions.
#[utoipa::path(
    delete, path = "/users/me/sessions/{id}", tag = "users", security(("token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The session")),
    responses((status = 204, description = "It has ended")),
)]
async fn end_one(State(api): State<Api>, caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    end(&api, &caller, Some(id)).await
}

async fn end(api: &Api, caller: &Caller, session: Option<Uuid>) -> Result<StatusCode, Problem> {
    let request = EndSessionsRequest {
        user_id: caller.id.to_string(),
        session_id: session.map(|id| id.to_string()),
    };
    let request = caller.request(request);
    api.backends.users.clone().end_sessions(request).await?;
    if session.is_none() || session == caller.session() {
        api.authority.forget(caller.holder());
    }
    Ok(StatusCode::NO_CONTENT)
}
