//! An event that is to be published.

use chassis::telemetry::trace;
use proto::{event::EventType, trace::TraceContext};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// What happened to a subject. It becomes a CloudEvents 1.0 event: see [`proto::event`].
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// UUIDv7, the same at every attempt.
    pub id: Uuid,
    /// The CloudEvents `type`.
    pub kind: String,
    /// What it happened to: an order, say. Events of one subject are published in the order of their changes.
    pub subject: Uuid,
    /// JSON, as the type has it.
    pub data: String,
    /// The trace of the change; empty for none.
    pub trace: TraceContext,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// The subject can have no earlier event, for the change has made it. Saves looking for one.
    pub is_first: bool,
}

impl Event {
    /// An event of a subject that may have earlier ones. Of its trace as much is kept as a message may carry. An error says
    /// that the data can't be written as JSON.
    pub fn new(
        kind: EventType,
        subject: Uuid,
        data: &impl Serialize,
        trace: &TraceContext,
        occurred_at: OffsetDateTime,
    ) -> serde_json::Result<Self> {
        Ok(Self {
            id: Uuid::now_v7(),
            kind: kind.as_str().to_owned(),
            subject,
            data: serde_json::to_string(data)?,
            trace: trace::bounded(trace),
            occurred_at,
            is_first: false,
        })
    }

    /// The first event of its subject, which the change has made.
    #[must_use]
    pub fn first(mut self) -> Self {
        self.is_first = true;
        self
    }
}
