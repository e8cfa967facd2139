//! The contract `shop.consumer.v1.ConsumerService`: what waits, and what could not be worked off.

use std::sync::Arc;

use chassis::{
    config::AmqpArgs,
    grpc::{
        Principal,
        status::{invalid_field, with_reason},
        timestamp,
    },
};
use proto::consumer::{
    self as contract, GetQueueRequest, GetQueueResponse, ListDeadLettersRequest, ListDeadLettersResponse,
    RedriveDeadLettersRequest, RedriveDeadLettersResponse, consumer_service_server::ConsumerService,
};
use tokio::sync::{Mutex, MutexGuard};
use tonic::{Code, Request, Response, Status};

use crate::{
    dead_letters::{self, DeadLetter, DeadLetterError, Redriven},
    depth::Depth,
};

/// The most dead letters of one answer.
pub const MAX_LISTED: u32 = 100;
/// The most that one call puts back.
pub const MAX_REDRIVEN: u32 = 1_000;
/// The longest that AMQP lets a message id be, and the most that is shown of any text of a message.
const LONGEST_TEXT: usize = 255;

/// The implementation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    depth: Depth,
    amqp: AmqpArgs,
    /// One at a time has dead letters in hand, which nobody else sees meanwhile.
    looking: Arc<Mutex<()>>,
}

impl Queue {
    /// `depth` knows what waits; the dead letters are read over a connection of each call.
    pub fn new(depth: Depth, amqp: AmqpArgs) -> Self {
        Self {
            depth,
            amqp,
            looking: Arc::default(),
        }
    }

    /// Waits for whoever looks at the dead letters now: no longer than the caller does, whose deadline ends the call.
    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().await
    }
}

#[tonic::async_trait]
impl ConsumerService for Queue {
    async fn get_queue(&self, _: Request<GetQueueRequest>) -> Result<Response<GetQueueResponse>, Status> {
        let waiting = self.depth.waiting().ok_or_else(|| {
            let why = "RabbitMQ has not said for some seconds how much waits";
            with_reason(Code::Unavailable, "BROKER_DISCONNECTED", why)
        })?;
        Ok(Response::new(GetQueueResponse {
            messages: waiting.messages,
            dead_letters: waiting.dead_letters,
        }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let limit = within("limit", request.into_inner().limit, MAX_LISTED)?;
        let _turn = self.turn().await;
        let listed = dead_letters::list(&self.amqp, limit)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(Response::new(ListDeadLettersResponse {
            dead_letters: listed.letters.into_iter().map(message).collect(),
            total: listed.total.into(),
        }))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<RedriveDeadLettersRequest>,
    ) -> Result<Response<RedriveDeadLettersResponse>, Status> {
        let principal = Principal::of(&request);
        let request = request.into_inner();
        let limit = within("limit", request.limit, MAX_REDRIVEN)?;
        let wanted = request.message_id.as_deref();
        if wanted.is_some_and(|id| id.is_empty() || id.len() > LONGEST_TEXT) {
            let expected = format!("must have 1 to {LONGEST_TEXT} bytes");
            return Err(invalid_field("message_id", expected));
        }
        let _turn = self.turn().await;
        let Redriven {
            count,
            waiting,
            outcome,
        } = dead_letters::redrive(&self.amqp, wanted, limit)
            .await
            .map_err(|error| unavailable(&error))?;
        match outcome {
            Err(error) if count == 0 => return Err(unavailable(&error)),
            // What was put back is told; why it did not go on is told to whoever asks for the rest.
            Err(error) => tracing::warn!(%error, redriven = count, "not all dead letters could be put back"),
            Ok(()) if count == 0 && wanted.is_some() => {
                return Err(Status::not_found("there is no dead letter of that id"));
            }
            Ok(()) => {}
        }
        tracing::info!(
            event.name = "shop.dead_letters.redriven",
            shop.actor.id = principal.user.map(tracing::field::display),
            message.id = wanted,
            redriven = count,
            "dead letters were put back"
        );
        Ok(Response::new(RedriveDeadLettersResponse {
            redriven: count.into(),
            remaining: waiting.saturating_sub(count).into(),
        }))
    }
}

fn within(field: &'static str, number: u32, most: u32) -> Result<u32, Status> {
    if (1..=most).contains(&number) {
        Ok(number)
    } else {
        Err(invalid_field(field, format!("must be from 1 to {most}")))
    }
}

fn unavailable(error: &DeadLetterError) -> Status {
    let reason = match error {
        DeadLetterError::Amqp(_) => "BROKER_DISCONNECTED",
        DeadLetterError::NotTaken(_) => "NOT_TAKEN",
    };
    with_reason(Code::Unavailable, reason, error.to_string())
}

fn message(letter: DeadLetter) -> contract::DeadLetter {
    contract::DeadLetter {
        message_id: letter.message_id.unwrap_or_default(),
        r#type: cut(letter.kind),
        subject: cut(letter.subject),
        reason: cut(letter.reason),
        count: letter.count.unwrap_or_default(),
        dead_at: letter.time.map(timestamp),
    }
}

/// What a stranger's message says of itself may be of any length.
fn cut(text: Option<String>) -> String {
    let mut text = text.unwrap_or_default();
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    text
}
