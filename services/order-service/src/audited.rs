//! What is recorded of changes that people make to orders. That one was placed, its row says itself; what became of its
//! stock is nobody's doing.

use audit::{Changes, Record, Subject};
use uuid::Uuid;

use crate::order::OrderStatus;

/// An order's status was changed by hand.
pub fn status_changed(order: Uuid, from: &str, to: OrderStatus) -> Record {
    let action = match to {
        OrderStatus::Cancelled => "order.cancelled",
        OrderStatus::Completed => "order.completed",
        // Nobody may, today.
        OrderStatus::Pending | OrderStatus::Confirmed | OrderStatus::Rejected => "order.status_changed",
    };
    let changes = Changes::none().with("status", from, to.as_str());
    Record::new(action, Subject::Order(order), changes)
}
