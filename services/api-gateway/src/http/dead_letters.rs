//! `/dead-letters`: the messages that could not be worked off, and putting them back.

use axum::{Json as Answer, extract::State};
use chassis::grpc::from_timestamp;
use proto::consumer::{DeadLetter as DeadLetterMessage, ListDeadLettersRequest, RedriveDeadLettersRequest};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Admin,
    decode::{Checked, Faults},
    input::{Json, Query},
    timestamp, unless_empty,
};
use crate::{backends::read, problem::Problem};

/// So many are put back by one request: fewer than can be within the time that a request has.
const REDRIVEN_AT_ONCE: u32 = 500;
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;
/// The longest id that AMQP lets a message have.
const LONGEST_MESSAGE_ID: usize = 255;

/// A message that could not be worked off.
#[derive(Serialize, ToSchema)]
struct DeadLetter {
    /// The message's id, which is the event's.
    #[schema(
        required = true,
        max_length = 255,
        example = "019b7a1c-5f2e-7b1a-9c3d-2f4e5a6b7c8d"
    )]
    message_id: Option<String>,
    /// The event's type.
    #[serde(rename = "type")]
    #[schema(required = true, max_length = 255, example = "order.created")]
    kind: Option<String>,
    /// The order, as far as the message tells.
    #[schema(
        required = true,
        max_length = 255,
        example = "019b7a1c-5f2e-7b1a-9c3d-2f4e5a6b7c8d"
    )]
    subject: Option<String>,
    /// Why it was dead-lettered, in RabbitMQ's words. Later versions may have others.
    #[schema(required = true, max_length = 255, examples("rejected", "delivery_limit"))]
    reason: Option<String>,
    /// How often it was dead-lettered.
    #[schema(minimum = 0)]
    count: u64,
    /// When it was dead-lettered last.
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = Option<String>, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    dead_at: Option<OffsetDateTime>,
}

/// The oldest dead letters.
#[derive(Serialize, ToSchema)]
struct DeadLetterList {
    /// The oldest first.
    #[schema(max_items = 100)]
    items: Vec<DeadLetter>,
    /// How many there are.
    #[schema(minimum = 0)]
    total: u64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadLettersQuery {
    /// The most of them; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Which dead letters are put back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
struct Redrive {
    /// Only the one of this id; all where it is left out.
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    message_id: Option<String>,
}

/// How far it came.
#[derive(Serialize, ToSchema)]
struct Redriven {
    /// So many were put back; 500 at most.
    #[schema(minimum = 0)]
    redriven: u64,
    /// So many of those that were there are left: ask again for them.
    #[schema(minimum = 0)]
    remaining: u64,
}

impl From<DeadLetterMessage> for DeadLetter {
    fn from(letter: DeadLetterMessage) -> Self {
        Self {
            message_id: unless_empty(letter.message_id),
            kind: unless_empty(letter.r#type),
            subject: unless_empty(letter.subject),
            reason: unless_empty(letter.reason),
            count: letter.count,
            dead_at: from_timestamp(letter.dead_at.as_ref()),
        }
    }
}

impl Checked for DeadLettersQuery {
    fn check(&self, faults: &mut Faults) {
        let is_fit = self.limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit));
        let expected = format!("must be from 1 to {MAX_LIMIT}");
        faults.take("limit", is_fit.then_some(()).ok_or(&*expected));
    }
}

impl Checked for Redrive {
    fn check(&self, faults: &mut Faults) {
        let is_fit = |id: &String| (1..=LONGEST_MESSAGE_ID).contains(&id.len());
        let expected = format!("must have 1 to {LONGEST_MESSAGE_ID} bytes");
        let is_fit = self.message_id.as_ref().is_none_or(is_fit);
        faults.take("message_id", is_fit.then_some(()).ok_or(&*expected));
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(redrive))
}

/// The oldest messages that could not be worked off. Looking at them takes none away.
#[utoipa::path(
    get, path = "/dead-letters", tag = "flow", security(("token" = [])), params(DeadLettersQuery),
    responses((status = 200, body = DeadLetterList), (status = 403, description = "Not an admin")),
)]
async fn list(
    State(api): State<Api>,
    _: Admin,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Answer<DeadLetterList>, Problem> {
    let request = ListDeadLettersRequest {
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
    };
    let answer = read(
        &api.backends.consumer,
        request,
        |mut consumer, request| async move { consumer.list_dead_letters(request).await },
    );
    let answer = answer.await?;
    Ok(Answer(DeadLetterList {
        items: answer.dead_letters.into_iter().map(DeadLetter::from).collect(),
        total: answer.total,
    }))
}

/// Puts dead letters back into the queue that they came from, the oldest first. None is lost, and one that is put back twice
/// moves no stock twice, so it may be repeated.
#[utoipa::path(
    post, path = "/dead-letters/redrive", tag = "flow", security(("token" = [])), request_body = Redrive,
    responses(
        (status = 200, body = Redriven),
        (status = 403, description = "Not an admin"),
        (status = 404, description = "There is none of that id"),
    ),
)]
async fn redrive(
    State(api): State<Api>,
    Admin(caller): Admin,
    Json(Redrive { message_id }): Json<Redrive>,
) -> Result<Answer<Redriven>, Problem> {
    let request = RedriveDeadLettersRequest {
        message_id,
        limit: REDRIVEN_AT_ONCE,
    };
    let request = caller.request(request);
    let mut consumer = api.backends.consumer.clone();
    let answer = consumer.redrive_dead_letters(request).await?.into_inner();
    Ok(Answer(Redriven {
        redriven: answer.redriven,
        remaining: answer.remaining,
    }))
}
