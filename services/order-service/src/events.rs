//! The events of an order: what is appended to the outbox beside every change.

use outbox::Event;
use proto::{
    event::{EventType, OrderCancelled, OrderCreated, OrderDecided, OrderedLine, RejectedLine},
    trace::TraceContext,
};
use serde_json::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::order::{Order, OrderStatus, Rejection};

/// The event of a new order.
pub fn created(order: &Order, trace: &TraceContext) -> Result<Event, Error> {
    let data = OrderCreated {
        order_id: order.id,
        user_id: order.user_id,
        lines: order
            .lines
            .iter()
            .map(|line| OrderedLine {
                product_id: line.product_id,
                quantity: line.quantity,
            })
            .collect(),
        total_minor_units: order.total,
        currency: order.currency.clone(),
    };
    Ok(Event::new(EventType::OrderCreated, order.id, &data, trace, order.created_at)?.first())
}

/// The event of a change of status; none follows a return to pending, which there is not.
pub fn changed(
    order_id: Uuid,
    user_id: Uuid,
    status: OrderStatus,
    rejection: Option<&Rejection>,
    trace: &TraceContext,
    now: OffsetDateTime,
) -> Result<Option<Event>, Error> {
    let kind = match status {
        OrderStatus::Pending => return Ok(None),
        OrderStatus::Confirmed => EventType::OrderConfirmed,
        OrderStatus::Rejected => EventType::OrderRejected,
        OrderStatus::Cancelled => {
            let data = OrderCancelled { order_id, user_id };
            return Event::new(EventType::OrderCancelled, order_id, &data, trace, now).map(Some);
        }
        OrderStatus::Completed => EventType::OrderCompleted,
    };
    let data = OrderDecided {
        order_id,
        user_id,
        reason: rejection.map(|rejection| rejection.first.reason.as_str().to_owned()),
        product_id: rejection.map(|rejection| rejection.first.product_id),
        lines: rejection.map(rejected_lines).unwrap_or_default(),
    };
    Event::new(kind, order_id, &data, trace, now).map(Some)
}

/// The lines at fault as events have them, and the table of orders.
pub(crate) fn rejected_lines(rejection: &Rejection) -> Vec<RejectedLine> {
    let lines = rejection.lines().map(|line| RejectedLine {
        product_id: line.product_id,
        reason: line.reason.as_str().to_owned(),
    });
    lines.collect()
}
