//! Creating orders: check, look earlier answers up, price, store. Requests that came together go through each step
//! together; a request that is refused leaves at its step and touches no other.

use std::collections::HashMap;

use chassis::{
    grpc::{
        retry,
        status::{self, FieldViolations, with_reason},
    },
    postgres,
};
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
    idempotency::{IdempotencyKey, Repetition},
    order::{Offer, Violation, WantedLine, merge_lines, place},
    outbox,
    store::{Creation, NewOrder},
};

/// The most products that are asked for in one call; inventory-service allows no more.
const PRODUCTS_AT_ONCE: usize = 10_000;
/// So many products, with their descriptions.
pub(super) const MAX_PRODUCTS_SIZE: usize = 64 * 1024 * 1024;

/// A request that is well-formed.
struct Draft {
    user_id: Uuid,
    lines: Vec<WantedLine>,
    key: Option<IdempotencyKey>,
    trace: TraceContext,
}

impl Orders {
    pub(super) async fn create(
        &self,
        requests: Vec<contract::NewOrder>,
    ) -> Result<Vec<CreateOrderResult>, Status> {
        let mut results: Vec<Option<CreateOrderResult>> = vec![None; requests.len()];
        let mut drafts: Vec<(usize, Draft)> = Vec::with_capacity(requests.len());
        for ((position, result), request) in results.iter_mut().enumerate().zip(requests) {
            match Draft::parse(request) {
                Ok(draft) => drafts.push((position, draft)),
                Err(refused) => *result = Some(refusal(&refused)),
            }
        }
        self.replay(&mut drafts, &mut results).await?;
        let offers = self.offers(&drafts).await?;
        let mut orders = Vec::with_capacity(drafts.len());
        for (position, draft) in drafts {
            match draft.price(&offers) {
                Ok(order) => orders.push((position, order)),
                Err(refused) => results[position] = Some(refusal(&refused)),
            }
        }
        self.store_orders(orders, &mut results).await?;
        let unanswered = || Status::internal("internal error");
        results
            .into_iter()
            .map(|result| result.ok_or_else(unanswered))
            .collect()
    }

    /// Answers requests whose key has an answer already, before anything else is asked of anybody: a product that is
    /// gone by now, or an inventory-service that is down, does not change what was answered.
    async fn replay(
        &self,
        drafts: &mut Vec<(usize, Draft)>,
        results: &mut [Option<CreateOrderResult>],
    ) -> Result<(), Status> {
        let keys: Vec<&IdempotencyKey> = drafts
            .iter()
            .filter_map(|(_, draft)| draft.key.as_ref())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let saved = self.store.saved_answers(&keys).await.map_err(postgres::status)?;
        drafts.retain(|(position, draft)| {
            let Some(key) = &draft.key else { return true };
            let Some(answer) = saved.get(&(key.user_id, key.key.clone())) else {
                return true;
            };
            results[*position] = Some(repeated(key.compare(answer.clone())));
            false
        });
        Ok(())
    }

    /// Names and prices as they are now, of all products that the drafts want.
    async fn offers(&self, drafts: &[(usize, Draft)]) -> Result<HashMap<Uuid, Offer>, Status> {
        let mut ids: Vec<Uuid> = drafts
            .iter()
            .flat_map(|(_, draft)| draft.lines.iter().map(|line| line.product_id))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut offers = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(PRODUCTS_AT_ONCE) {
            let request = GetPricesRequest {
                product_ids: ids.iter().map(Uuid::to_string).collect(),
            };
            let answer = retry(|| {
                let (mut inventory, request) = (self.inventory.clone(), request.clone());
                async move { inventory.get_prices(request).await }
            });
            for offered in answer.await?.into_inner().prices {
                let price = offered.price.unwrap_or_default();
                let offer = Offer {
                    name: offered.name,
                    price: price.minor_units,
                    currency: price.currency_code,
                };
                offers.insert(status::parse_uuid("product_id", &offered.product_id)?, offer);
            }
        }
        Ok(offers)
    }

    async fn store_orders(
        &self,
        orders: Vec<(usize, NewOrder)>,
        results: &mut [Option<CreateOrderResult>],
    ) -> Result<(), Status> {
        if orders.is_empty() {
            return Ok(());
        }
        let (positions, orders): (Vec<usize>, Vec<NewOrder>) = orders.into_iter().unzip();
        let creations = self.store.create(&orders).await.map_err(postgres::status)?;
        let mut created = 0;
        for ((position, order), creation) in positions.into_iter().zip(orders).zip(creations) {
            results[position] = Some(match creation {
                Creation::Created => {
                    created += 1;
                    answer(convert::order(&order.order), false)
                }
                Creation::Repeated(repetition) => repeated(repetition),
                Creation::InFlight => refusal(&with_reason(
                    Code::Aborted,
                    "IDEMPOTENCY_KEY_IN_FLIGHT",
                    "a request with this idempotency key is being worked on",
                )),
            });
        }
        self.created.add(created, &[]);
        Ok(())
    }
}

impl Draft {
    fn parse(request: contract::NewOrder) -> Result<Self, Status> {
        let lines: Vec<(&str, i64)> = request
            .lines
            .iter()
            .map(|line| (line.product_id.as_str(), line.quantity))
            .collect();
        let lines = merge_lines(&lines).map_err(violations)?;
        let user_id = status::parse_uuid("user_id", &request.user_id)?;
        let key = (!request.idempotency_key.is_empty()).then_some(IdempotencyKey {
            user_id,
            key: request.idempotency_key,
            digest: request.request_digest,
        });
        if key
            .as_ref()
            .is_some_and(|key| !IdempotencyKey::is_valid(&key.key))
        {
            let description = "must be 1 to 255 visible ASCII characters";
            return Err(status::invalid_field("idempotency_key", description));
        }
        Ok(Self {
            user_id,
            lines,
            key,
            trace: request.trace.unwrap_or_default(),
        })
    }

    /// The order at today's prices, with its event and the answer to be saved.
    fn price(self, offers: &HashMap<Uuid, Offer>) -> Result<NewOrder, Status> {
        let id = Uuid::now_v7();
        let order = place(id, self.user_id, &self.lines, offers, now()).map_err(violations)?;
        let trace = own_span(
            self.trace,
            |_| tracing::info_span!("create order", otel.kind = "internal", shop.order.id = %id),
        );
        let event = outbox::created(&order, trace).map_err(|error| internal(&error))?;
        let key = self.key.map(|key| (key, convert::order(&order).encode_to_vec()));
        Ok(NewOrder { order, event, key })
    }
}

fn repeated(repetition: Repetition) -> CreateOrderResult {
    match repetition {
        Repetition::Replay(saved) => match contract::Order::decode(saved.as_slice()) {
            Ok(order) => answer(order, true),
            Err(error) => {
                tracing::error!(%error, "a saved answer can't be read");
                refusal(&Status::internal("internal error"))
            }
        },
        Repetition::Reused => refusal(&with_reason(
            Code::FailedPrecondition,
            "IDEMPOTENCY_KEY_REUSED",
            "this idempotency key was used with another request",
        )),
    }
}

fn answer(order: contract::Order, replayed: bool) -> CreateOrderResult {
    let created = CreatedOrder {
        order: Some(order),
        replayed,
    };
    CreateOrderResult {
        outcome: Some(create_order_result::Outcome::Created(created)),
    }
}

fn refusal(refused: &Status) -> CreateOrderResult {
    CreateOrderResult {
        outcome: Some(create_order_result::Outcome::Refused(status::to_pb(refused))),
    }
}

fn violations(found: Vec<Violation>) -> Status {
    let mut violations = FieldViolations::new();
    for violation in found {
        violations.add(violation.field, violation.description);
    }
    violations
        .into_result()
        .err()
        .unwrap_or_else(|| Status::internal("internal error"))
}
