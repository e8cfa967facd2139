//! The events of an order: what is written into the outbox beside every change.

use proto::{
    event::{EventType, OrderCancelled, OrderCreated, OrderDecided, OrderedLine},
    trace::TraceContext,
};
use serde_json::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::order::{Order, OrderStatus, Rejection};

/// An event that is to be published.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same at every attempt.
    pub id: Uuid,
    /// Its order.
    pub order_id: Uuid,
    /// What happened.
    pub kind: EventType,
    /// JSON, as the type has it.
    pub data: String,
    /// Of the change.
    pub trace: TraceContext,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
}

/// The event of a new order.
pub fn created(order: &Order, trace: TraceContext) -> Result<Event, Error> {
    let lines = order.lines.iter();
    let data = serde_json::to_string(&OrderCreated {
        order_id: order.id,
        user_id: order.user_id,
        lines: lines
            .map(|line| OrderedLine {
                product_id: line.product_id,
                quantity: line.quantity,
            })
            .collect(),
        total_minor_units: order.total,
        currency: order.currency.clone(),
    })?;
    Ok(event(
        order.id,
        EventType::OrderCreated,
        data,
        trace,
        order.created_at,
    ))
}

/// The event of a change of status; none follows a return to pending, which there is not.
pub fn changed(
    order_id: Uuid,
    user_id: Uuid,
    status: OrderStatus,
    rejection: Option<Rejection>,
    trace: TraceContext,
    now: OffsetDateTime,
) -> Result<Option<Event>, Error> {
    let kind = match status {
        OrderStatus::Pending => return Ok(None),
        OrderStatus::Confirmed => EventType::OrderConfirmed,
        OrderStatus::Rejected => EventType::OrderRejected,
        OrderStatus::Cancelled => EventType::OrderCancelled,
        OrderStatus::Completed => EventType::OrderCompleted,
    };
    let data = if kind == EventType::OrderCancelled {
        serde_json::to_string(&OrderCancelled { order_id, user_id })?
    } else {
        serde_json::to_string(&OrderDecided {
            order_id,
            user_id,
            reason: rejection.map(|rejection| rejection.reason.as_str().to_owned()),
            product_id: rejection.map(|rejection| rejection.product_id),
        })?
    };
    Ok(Some(event(order_id, kind, data, trace, now)))
}

fn event(
    order_id: Uuid,
    kind: EventType,
    data: String,
    trace: TraceContext,
    occurred_at: OffsetDateTime,
) -> Event {
    Event {
        id: Uuid::now_v7(),
        order_id,
        kind,
        data,
        trace,
        occurred_at,
    }
}
