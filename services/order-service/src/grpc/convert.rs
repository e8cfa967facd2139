//! Between the contract's messages and the rules' types.

use chassis::{
    grpc::{
        from_timestamp,
        status::{invalid_field, parse_uuid},
        timestamp,
    },
    open_enum::Open,
    violations::Violations,
};
use proto::{
    money::Money,
    order::{self as contract, order_outcome},
};
use tonic::Status;
use uuid::Uuid;

use crate::order::{Order, OrderFilter, OrderStatus, Outcome, Rejection, RejectionReason};

pub(super) fn order(order: &Order) -> contract::Order {
    let money = |minor_units| {
        Some(Money {
            minor_units,
            currency_code: order.currency.clone(),
        })
    };
    contract::Order {
        id: order.id.to_string(),
        user_id: order.user_id.to_string(),
        status: status_code(&order.status),
        status_name: order.status.as_str().to_owned(),
        total: money(order.total),
        lines: order
            .lines
            .iter()
            .map(|line| contract::OrderLine {
                product_id: line.product_id.to_string(),
                product_name: line.product_name.clone(),
                quantity: line.quantity,
                unit_price: money(line.unit_price),
                // Was checked when the order was placed.
                line_total: money(line.unit_price.saturating_mul(line.quantity)),
            })
            .collect(),
        rejection: order.rejection.as_ref().map(|rejection| {
            let (reason_name, reason) = rejection.reason.to_contract(reason_number);
            contract::Rejection {
                reason,
                product_id: rejection.product_id.to_string(),
                reason_name,
            }
        }),
        created_at: Some(timestamp(order.created_at)),
        updated_at: Some(timestamp(order.updated_at)),
    }
}

/// The number of a status; the unspecified one for that of a later version, which goes by its name.
pub(super) fn status_code(status: &Open<OrderStatus>) -> i32 {
    status
        .known()
        .map_or(contract::OrderStatus::Unspecified, code)
        .into()
}

fn code(status: OrderStatus) -> contract::OrderStatus {
    match status {
        OrderStatus::Pending => contract::OrderStatus::Pending,
        OrderStatus::Confirmed => contract::OrderStatus::Confirmed,
        OrderStatus::Rejected => contract::OrderStatus::Rejected,
        OrderStatus::Cancelled => contract::OrderStatus::Cancelled,
        OrderStatus::Completed => contract::OrderStatus::Completed,
    }
}

/// None for a number that is no status, or the unspecified one.
pub(super) fn status(number: i32) -> Option<OrderStatus> {
    OrderStatus::ALL
        .into_iter()
        .find(|status| i32::from(code(*status)) == number)
}

const NO_TIME: &str = "must be a time of the years 1 to 9999";

/// Which orders a list is to show.
pub(super) fn filter(request: &contract::ListOrdersRequest) -> Result<OrderFilter, Status> {
    let mut violations = Violations::new();
    let user_id = request
        .user_id
        .as_deref()
        .and_then(|id| violations.take("user_id", Uuid::try_parse(id).map_err(|_| "must be a UUID")));
    // Unspecified: any.
    let wanted = if request.status == i32::from(contract::OrderStatus::Unspecified) {
        None
    } else {
        violations.take("status", status(request.status).ok_or("must be a status"))
    };
    let created_from = request
        .created_from
        .as_ref()
        .and_then(|time| violations.take("created_from", from_timestamp(Some(time)).ok_or(NO_TIME)));
    let created_to = request
        .created_to
        .as_ref()
        .and_then(|time| violations.take("created_to", from_timestamp(Some(time)).ok_or(NO_TIME)));
    violations.into_result()?;
    Ok(OrderFilter {
        user_id,
        status: wanted,
        created_from,
        created_to,
    })
}

pub(super) fn outcome(outcome: &contract::OrderOutcome) -> Result<(Uuid, Outcome), Status> {
    let id = parse_uuid("order_id", &outcome.order_id)?;
    let outcome = match &outcome.outcome {
        Some(order_outcome::Outcome::Confirmed(_)) => Outcome::Confirmed,
        Some(order_outcome::Outcome::Rejected(rejected)) => Outcome::Rejected(Rejection {
            reason: Open::from_contract(&rejected.reason_name, rejected.reason, reason(rejected.reason))
                .ok_or_else(|| invalid_field("rejected.reason", "must be a reason"))?,
            product_id: parse_uuid("rejected.product_id", &rejected.product_id)?,
        }),
        None => return Err(invalid_field("outcome", "must be set")),
    };
    Ok((id, outcome))
}

fn reason_number(reason: RejectionReason) -> i32 {
    let code = match reason {
        RejectionReason::InsufficientStock => contract::RejectionReason::InsufficientStock,
        RejectionReason::ProductNotFound => contract::RejectionReason::ProductNotFound,
    };
    code.into()
}

/// None for a number that is no reason of this version.
fn reason(number: i32) -> Option<RejectionReason> {
    RejectionReason::ALL
        .into_iter()
        .find(|reason| reason_number(*reason) == number)
}
