//! The stream of one order's status.

use std::{pin::Pin, time::Duration};

use chassis::postgres;
use futures::{Stream, stream};
use proto::order::WatchOrderResponse;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::{convert, not_found};
use crate::{
    order::{Order, OrderStatus},
    store::Store,
    watch::Subscription,
};

/// A stream ends after this long; who still waits asks again.
const LONGEST_WATCH: Duration = Duration::from_mins(5);

pub(super) type OrderStream = Pin<Box<dyn Stream<Item = Result<WatchOrderResponse, Status>> + Send>>;

enum Next {
    Show(Order),
    AwaitChange(Order),
    End,
}

/// The order as it is, and again whenever its status has changed, until that is final.
pub(super) fn stream(store: Store, order: Order, subscription: Subscription) -> OrderStream {
    let until = Instant::now() + LONGEST_WATCH;
    let start = (store, subscription, Next::Show(order));
    Box::pin(stream::try_unfold(
        start,
        move |(store, mut subscription, next)| async move {
            let order = match next {
                Next::Show(order) => order,
                Next::AwaitChange(known) => {
                    let changed = changed_order(&store, &mut subscription, &known);
                    match timeout_at(until, changed).await {
                        Ok(changed) => changed?,
                        Err(_) => return Ok(None),
                    }
                }
                Next::End => return Ok(None),
            };
            let shown = WatchOrderResponse {
                order: Some(convert::order(&order)),
            };
            // What follows a status of a later version is not known here: perhaps something does.
            let next = if order.status.known().is_some_and(OrderStatus::is_final) {
                Next::End
            } else {
                Next::AwaitChange(order)
            };
            Ok(Some((shown, (store, subscription, next))))
        },
    ))
}

async fn changed_order(
    store: &Store,
    subscription: &mut Subscription,
    known: &Order,
) -> Result<Order, Status> {
    loop {
        subscription.changed_from(&known.status).await;
        let order = store
            .order(known.id, None)
            .await
            .map_err(postgres::status)?
            .ok_or_else(not_found)?;
        // News can be older than what was read already.
        if order.status != known.status {
            return Ok(order);
        }
    }
}
