//! Placing an order: check, look an earlier answer up, price, see whether the customer may open another, commit. Each order
//! goes its way by itself, whatever call it came with; what it shares with others is the transaction alone
//! ([`crate::group_commit`]).

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use chassis::{
    grpc::{
        MAX_MESSAGE_SIZE,
        status::{self, with_reason},
    },
    idempotency::{IdempotencyKey, Repetition, in_flight, kept_answer, reused},
    telemetry::trace,
};
use futures::future::{join, join_all};
use prost::Message as _;
use proto::{
    inventory::GetPricesRequest,
    order::{self as contract, CreateOrderResult, CreatedOrder, create_order_result},
    trace::TraceContext,
};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Orders, convert, internal, now, own_span};
use crate::{
    admission::NotLetIn,
    events,
    order::{Offer, WantedLine, merge_lines, place, placed_at},
    store::{Creation, NewOrder},
};

/// A request that is well-formed.
struct Draft {
    user_id: Uuid,
    lines: Vec<WantedLine>,
    key: Option<IdempotencyKey>,
    trace: TraceContext,
}

/// What is left of the bytes that an answer may have.
pub(super) struct Room(AtomicUsize);

impl Orders {
    /// One result per request, in order.
    pub(super) async fn create_each(&self, requests: Vec<contract::NewOrder>) -> Vec<CreateOrderResult> {
        let room = Room::of_an_answer();
        let created = requests.into_iter().map(|request| self.create(request, &room));
        let outcomes = join_all(created).await.into_iter().map(|created| match created {
            Ok(created) => create_order_result::Outcome::Created(created),
            Err(refused) => create_order_result::Outcome::Refused(status::to_pb(&refused)),
        });
        outcomes
            .map(|outcome| CreateOrderResult {
                outcome: Some(outcome),
            })
            .collect()
    }

    /// Creates one order; its answer takes of that room.
    pub(super) async fn create(
        &self,
        request: contract::NewOrder,
        room: &Room,
    ) -> Result<CreatedOrder, Status> {
        let draft = Draft::parse(request)?;
        // Before anything else is asked of anybody: a product that is gone by now, or an inventory-service that is down,
        // does not change what was answered.
        if let Some(key) = &draft.key
            && let Some(saved) = self.group_commit.saved_answer(key.clone()).await?
        {
            return repeated(key.compare(saved));
        }
        // Side by side: what a customer's first order has to know more takes no more time.
        let (offers, known) = join(self.offers(&draft), self.admission.know(draft.user_id)).await;
        let order = draft.price(offers?)?;
        known?;
        let answer = convert::order(&order.order);
        let let_in = match self.admission.let_in(order.order.user_id, order.order.id).await {
            Ok(let_in) => let_in,
            Err(refused) => return self.twin_or(refused, order.key).await,
        };
        // Before the commit: an order that is stored must not be answered with an error.
        if let Err(full) = room.take(answer.encoded_len()) {
            let_in.withdraw();
            return Err(full);
        }
        match self.group_commit.create(order).await? {
            Creation::Created => {
                self.created.add(1, &[]);
                Ok(CreatedOrder {
                    order: Some(answer),
                    replayed: false,
                })
            }
            Creation::Repeated(repetition) => {
                let_in.withdraw();
                repeated(repetition)
            }
            Creation::InFlight => {
                let_in.withdraw();
                Err(in_flight())
            }
        }
    }

    /// What an order is answered with that is not let in. The last one that was may have been its own twin, which was not
    /// there yet when its key was looked up.
    async fn twin_or(
        &self,
        refused: NotLetIn,
        key: Option<(IdempotencyKey, Vec<u8>)>,
    ) -> Result<CreatedOrder, Status> {
        if let (NotLetIn::TooManyOpen { .. }, Some((key, _))) = (&refused, key)
            && let Some(saved) = self.group_commit.saved_answer(key.clone()).await?
        {
            return repeated(key.compare(saved));
        }
        Err(refused.into())
    }

    /// What the draft's lines are and cost now, in their order; none where there is no such product.
    async fn offers(&self, draft: &Draft) -> Result<Vec<Option<Offer>>, Status> {
        let product_ids: Vec<String> = draft
            .lines
            .iter()
            .map(|line| line.product_id.to_string())
            .collect();
        let request = GetPricesRequest {
            product_ids: product_ids.clone(),
        };
        let answer = self.prices.call(request, async |request| {
            Ok(self.inventory.clone().get_prices(request).await?.into_inner())
        });
        let mut offers: HashMap<String, Offer> = answer
            .await?
            .prices
            .into_iter()
            .map(|offered| {
                let price = offered.price.unwrap_or_default();
                let offer = Offer {
                    name: offered.name,
                    price: price.minor_units,
                    currency: price.currency_code,
                };
                (offered.product_id, offer)
            })
            .collect();
        Ok(product_ids.iter().map(|id| offers.remove(id)).collect())
    }
}

impl Draft {
    fn parse(request: contract::NewOrder) -> Result<Self, Status> {
        let lines: Vec<(&str, i64)> = request
            .lines
            .iter()
            .map(|line| (line.product_id.as_str(), line.quantity))
            .collect();
        let lines = merge_lines(&lines)?;
        let user_id = status::parse_uuid("user_id", &request.user_id)?;
        let key = IdempotencyKey::read(&request.user_id, request.idempotency_key, request.request_digest)?;
        Ok(Self {
            user_id,
            lines,
            key,
            // A batch says of each of its orders which trace it is of; an order in a call of its own is of the call's.
            trace: request.trace.unwrap_or_else(trace::current),
        })
    }

    /// The order at today's prices, with its event and the answer to be saved.
    fn price(self, offers: Vec<Option<Offer>>) -> Result<NewOrder, Status> {
        let id = Uuid::now_v7();
        let order = place(id, self.user_id, &self.lines, offers, placed_at(id, now()))?;
        let trace = own_span(
            self.trace,
            |_| tracing::info_span!("create order", otel.kind = "internal", shop.order.id = %id),
        );
        let event = events::created(&order, &trace).map_err(|error| internal(&error))?;
        let key = self.key.map(|key| (key, convert::order(&order).encode_to_vec()));
        Ok(NewOrder { order, event, key })
    }
}

impl Room {
    /// With some to spare for what stands around the orders.
    pub(super) fn of_an_answer() -> Self {
        Self(AtomicUsize::new(MAX_MESSAGE_SIZE / 8 * 7))
    }

    fn take(&self, bytes: usize) -> Result<(), Status> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map(drop)
            .map_err(|_| {
                let message =
                    "the answer to this call has no room for the order; place it in a call of its own";
                with_reason(Code::ResourceExhausted, "ANSWER_FULL", message)
            })
    }
}

fn repeated(repetition: Repetition) -> Result<CreatedOrder, Status> {
    match repetition {
        Repetition::Replay(saved) => Ok(CreatedOrder {
            order: Some(kept_answer(&saved)?),
            replayed: true,
        }),
        Repetition::Reused => Err(reused()),
    }
}
