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

use crate::{
    order::{MAX_LINES, Order, OrderFilter, OrderStatus, Outcome, RejectedLine, Rejection, RejectionReason},
    store::{OrderFlow, WINDOW},
};

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
        rejection: order.rejection.as_ref().map(rejection),
        created_at: Some(timestamp(order.created_at)),
        updated_at: Some(timestamp(order.updated_at)),
    }
}

pub(super) fn flow(flow: OrderFlow) -> contract::GetOrderFlowResponse {
    let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
    let placed = flow
        .placed
        .into_iter()
        .map(|(status_name, orders)| contract::OrdersOfStatus {
            status_name,
            orders: count(orders),
        });
    contract::GetOrderFlowResponse {
        window_seconds: u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX),
        placed: placed.collect(),
        pending: count(flow.pending),
        oldest_pending_at: flow.oldest_pending_at.map(timestamp),
    }
}

fn rejection(rejection: &Rejection) -> contract::Rejection {
    let line = |line: &RejectedLine| {
        let (reason_name, reason) = line.reason.to_contract(reason_number);
        contract::RejectedLine {
            product_id: line.product_id.to_string(),
            reason,
            reason_name,
        }
    };
    let contract::RejectedLine {
        product_id,
        reason,
        reason_name,
    } = line(&rejection.first);
    contract::Rejection {
        reason,
        product_id,
        reason_name,
        lines: rejection.lines().map(line).collect(),
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
        Some(order_outcome::Outcome::Rejected(rejection)) => Outcome::Rejected(rejected(rejection)?),
        None => return Err(invalid_field("outcome", "must be set")),
    };
    Ok((id, outcome))
}

/// What the sender knows of the first line at fault stands in the rejection itself, for the version before.
fn rejected(rejection: &contract::Rejection) -> Result<Rejection, Status> {
    let line = |product_id: &str, name: &str, number| {
        Ok::<_, Status>(RejectedLine {
            product_id: parse_uuid("rejected.product_id", product_id)?,
            reason: Open::from_contract(name, number, reason(number))
                .ok_or_else(|| invalid_field("rejected.reason", "must be a reason"))?,
        })
    };
    if rejection.lines.len() > MAX_LINES {
        return Err(invalid_field(
            "rejected.lines",
            format!("must have at most {MAX_LINES} entries"),
        ));
    }
    let others = rejection.lines.iter().skip(1);
    Ok(Rejection {
        first: line(&rejection.product_id, &rejection.reason_name, rejection.reason)?,
        others: others
            .map(|other| line(&other.product_id, &other.reason_name, other.reason))
            .collect::<Result<_, _>>()?,
    })
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
