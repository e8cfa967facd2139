//! What a batch of messages asks of whom, and what becomes of each message: rules only, no input or output.
//!
//! A [`Plan`] gathers the messages into requests, one per order: allocations first, then releases, so that an order
//! that was created and cancelled in the same batch ends with its stock given back. Answers are put in one by one, and
//! at the end every message has its [`Verdict`].

use std::collections::HashMap;

use proto::{
    inventory::{
        StockAllocation, StockAllocationResult, StockRejection, StockRejectionReason, StockRelease,
        StockReleaseResult, stock_allocation_result, stock_release_result,
    },
    order::{
        OrderOutcome, RecordOutcomeResult, RejectedLine, Rejection, RejectionReason, StockConfirmed,
        order_outcome, record_outcome_result,
    },
    trace::TraceContext,
};
use uuid::Uuid;

use crate::message::{Malformed, Work};

/// Why a message goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hopeless {
    /// It makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A service refuses it and always will.
    #[error("{service} refuses it: {reason}")]
    Refused {
        /// Who refuses.
        service: &'static str,
        /// What it says.
        reason: String,
    },
}

impl Hopeless {
    /// Every [`kind`](Self::kind).
    pub const KINDS: [&'static str; 2] = ["malformed", "refused"];

    /// A word for metrics.
    pub const fn kind(&self) -> &'static str {
        let [malformed, refused] = Self::KINDS;
        match self {
            Self::Malformed(_) => malformed,
            Self::Refused { .. } => refused,
        }
    }
}

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its work is done.
    Acknowledge,
    /// Its work can't be done, ever.
    Reject(Hopeless),
}

/// A request on behalf of messages. Most often of one; of several where the same event came more than once.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<T> {
    /// What is asked.
    pub request: T,
    /// Their places in the batch.
    pub messages: Vec<usize>,
}

/// The requests of a batch, and the verdicts so far.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For inventory-service, before the releases.
    pub allocations: Vec<Item<StockAllocation>>,
    /// For inventory-service.
    pub releases: Vec<Item<StockRelease>>,
    /// For order-service, once the allocations are answered.
    pub outcomes: Vec<Item<OrderOutcome>>,
    verdicts: Vec<Verdict>,
}

impl Plan {
    /// Plans a batch. Each message comes with the trace context that its requests shall carry.
    pub fn new(messages: impl IntoIterator<Item = (Result<Work, Malformed>, TraceContext)>) -> Self {
        let mut plan = Self {
            allocations: Vec::new(),
            releases: Vec::new(),
            outcomes: Vec::new(),
            verdicts: Vec::new(),
        };
        let (mut allocated, mut released) = (HashMap::new(), HashMap::new());
        for (index, (work, trace)) in messages.into_iter().enumerate() {
            let trace = Some(trace);
            let mut verdict = Verdict::Acknowledge;
            match work {
                Ok(Work::Allocate { order_id, lines }) => {
                    let request = || StockAllocation {
                        order_id: order_id.to_string(),
                        lines,
                        trace,
                    };
                    gather(&mut plan.allocations, &mut allocated, order_id, index, request);
                }
                Ok(Work::Release { order_id }) => {
                    let request = || StockRelease {
                        order_id: order_id.to_string(),
                        trace,
                    };
                    gather(&mut plan.releases, &mut released, order_id, index, request);
                }
                Ok(Work::Nothing | Work::Unknown { .. }) => {}
                Err(malformed) => verdict = Verdict::Reject(malformed.into()),
            }
            plan.verdicts.push(verdict);
        }
        plan
    }

    /// Takes in the answers to the allocations, which decide what there is to record.
    pub fn allocated(&mut self, answers: Vec<Result<StockAllocationResult, String>>) {
        for (item, answer) in std::mem::take(&mut self.allocations).into_iter().zip(answers) {
            match answer.and_then(outcome) {
                Ok(Some(outcome)) => {
                    let StockAllocation { order_id, trace, .. } = item.request;
                    let request = OrderOutcome {
                        order_id,
                        outcome: Some(outcome),
                        trace,
                    };
                    self.outcomes.push(Item {
                        request,
                        messages: item.messages,
                    });
                }
                // Released before it was allocated: the order is cancelled, and order-service knows.
                Ok(None) => {}
                Err(reason) => self.refuse(&item.messages, "inventory-service", &reason),
            }
        }
    }

    /// Takes in the answers to the releases.
    pub fn released(&mut self, answers: Vec<Result<StockReleaseResult, String>>) {
        for (item, answer) in std::mem::take(&mut self.releases).into_iter().zip(answers) {
            let refusal = match answer.map(|answer| answer.outcome) {
                Ok(Some(stock_release_result::Outcome::Invalid(status))) => Some(status.message),
                Ok(_) => None,
                Err(reason) => Some(reason),
            };
            if let Some(reason) = refusal {
                self.refuse(&item.messages, "inventory-service", &reason);
            }
        }
    }

    /// Takes in the answers to the outcomes.
    pub fn recorded(&mut self, answers: Vec<Result<RecordOutcomeResult, String>>) {
        for (item, answer) in std::mem::take(&mut self.outcomes).into_iter().zip(answers) {
            let refusal = match answer.map(|answer| answer.result) {
                Ok(Some(record_outcome_result::Result::Invalid(status))) => Some(status.message),
                Ok(_) => None,
                Err(reason) => Some(reason),
            };
            if let Some(reason) = refusal {
                self.refuse(&item.messages, "order-service", &reason);
            }
        }
    }

    /// What becomes of each message, in the batch's order.
    pub fn verdicts(self) -> Vec<Verdict> {
        self.verdicts
    }

    fn refuse(&mut self, messages: &[usize], service: &'static str, reason: &str) {
        for &index in messages {
            let hopeless = Hopeless::Refused {
                service,
                reason: reason.to_owned(),
            };
            self.verdicts[index] = Verdict::Reject(hopeless);
        }
    }
}

/// Adds a message's request, or the message to the request that the same order has already.
fn gather<T>(
    items: &mut Vec<Item<T>>,
    known: &mut HashMap<Uuid, usize>,
    order_id: Uuid,
    message: usize,
    request: impl FnOnce() -> T,
) {
    let place = *known.entry(order_id).or_insert(items.len());
    match items.get_mut(place) {
        Some(item) => item.messages.push(message),
        None => items.push(Item {
            request: request(),
            messages: vec![message],
        }),
    }
}

/// What an allocation means for its order; none where there is nothing to record.
fn outcome(answer: StockAllocationResult) -> Result<Option<order_outcome::Outcome>, String> {
    match answer.outcome {
        Some(stock_allocation_result::Outcome::Allocated(_)) => {
            Ok(Some(order_outcome::Outcome::Confirmed(StockConfirmed {})))
        }
        Some(stock_allocation_result::Outcome::Rejected(rejection)) => {
            Ok(Some(order_outcome::Outcome::Rejected(rejected(rejection))))
        }
        Some(stock_allocation_result::Outcome::Released(_)) => Ok(None),
        Some(stock_allocation_result::Outcome::Invalid(status)) => Err(status.message),
        None => Err("an answer without an outcome".to_owned()),
    }
}

/// A reason that this version doesn't know is passed on as it came: numbers and names are the same in both contracts.
fn rejected(rejection: StockRejection) -> Rejection {
    let lines = rejection.lines.into_iter().map(|line| RejectedLine {
        product_id: line.product_id,
        reason: reason(line.reason),
        reason_name: line.reason_name,
    });
    Rejection {
        reason: reason(rejection.reason),
        product_id: rejection.product_id,
        reason_name: rejection.reason_name,
        lines: lines.collect(),
    }
}

fn reason(number: i32) -> i32 {
    match StockRejectionReason::try_from(number) {
        Ok(StockRejectionReason::InsufficientStock) => RejectionReason::InsufficientStock.into(),
        Ok(StockRejectionReason::ProductNotFound) => RejectionReason::ProductNotFound.into(),
        Ok(StockRejectionReason::Unspecified) => RejectionReason::Unspecified.into(),
        Err(_) => number,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proto::inventory::{Allocated, RejectedStockLine, Released, StockLine};
    use tonic_types::pb::Status;

    use super::*;

    fn allocate(order: u128) -> (Result<Work, Malformed>, TraceContext) {
        let lines = vec![StockLine {
            product_id: Uuid::from_u128(7).to_string(),
            quantity: 1,
        }];
        (
            Ok(Work::Allocate {
                order_id: Uuid::from_u128(order),
                lines,
            }),
            TraceContext::default(),
        )
    }

    fn release(order: u128) -> (Result<Work, Malformed>, TraceContext) {
        (
            Ok(Work::Release {
                order_id: Uuid::from_u128(order),
            }),
            TraceContext::default(),
        )
    }

    #[allow(clippy::unnecessary_wraps)]
    fn answer(outcome: stock_allocation_result::Outcome) -> Result<StockAllocationResult, String> {
        Ok(StockAllocationResult {
            order_id: String::new(),
            outcome: Some(outcome),
        })
    }

    fn invalid(message: &str) -> Status {
        Status {
            code: 3,
            message: message.to_owned(),
            details: Vec::new(),
        }
    }

    #[test]
    fn a_batch_asks_once_per_order_and_kind() {
        let malformed = (Err(Malformed::Type), TraceContext::default());
        let nothing = (Ok(Work::Nothing), TraceContext::default());
        let kind = "order.gift-wrapped".to_owned();
        let unknown = (Ok(Work::Unknown { kind }), TraceContext::default());
        let plan = Plan::new([
            allocate(1),
            release(1),
            allocate(2),
            malformed,
            allocate(1),
            nothing,
            release(1),
            unknown,
        ]);
        let places = |items: &[Item<StockAllocation>]| {
            items.iter().map(|item| item.messages.clone()).collect::<Vec<_>>()
        };
        assert_eq!(places(&plan.allocations), [vec![0, 4], vec![2]]);
        assert_eq!(plan.releases.len(), 1);
        assert_eq!(plan.releases[0].messages, [1, 6]);
        let rejected: Vec<_> = plan
            .verdicts()
            .into_iter()
            .map(|verdict| verdict != Verdict::Acknowledge)
            .collect();
        assert_eq!(rejected, [false, false, false, true, false, false, false, false]);
    }

    #[test]
    fn a_newer_versions_reason_is_passed_on_as_it_came() {
        for (reason, name) in [
            (0, "address_unknown"),
            (1, "insufficient_stock"),
            (2, ""),
            (77, ""),
        ] {
            let rejection = rejected(StockRejection {
                reason,
                product_id: "p".to_owned(),
                reason_name: name.to_owned(),
                lines: vec![RejectedStockLine {
                    product_id: "q".to_owned(),
                    reason,
                    reason_name: name.to_owned(),
                }],
            });
            assert_eq!((rejection.reason, rejection.reason_name.as_str()), (reason, name));
            let line = &rejection.lines[0];
            assert_eq!((line.reason, line.reason_name.as_str()), (reason, name));
            assert_eq!(line.product_id, "q");
        }
    }

    #[test]
    fn each_answer_leads_to_its_outcome_and_verdict() {
        let mut plan = Plan::new([
            allocate(1),
            allocate(2),
            allocate(3),
            allocate(4),
            allocate(5),
            release(6),
        ]);
        let product_id = Uuid::from_u128(7).to_string();
        let rejection = StockRejection {
            reason: StockRejectionReason::InsufficientStock.into(),
            product_id: product_id.clone(),
            ..StockRejection::default()
        };
        plan.allocated(vec![
            answer(stock_allocation_result::Outcome::Allocated(Allocated {})),
            answer(stock_allocation_result::Outcome::Rejected(rejection)),
            answer(stock_allocation_result::Outcome::Released(Released {})),
            answer(stock_allocation_result::Outcome::Invalid(invalid("no lines"))),
            Err("too big".to_owned()),
        ]);
        let outcomes: Vec<_> = plan
            .outcomes
            .iter()
            .map(|item| item.request.outcome.clone().unwrap())
            .collect();
        let expected = Rejection {
            reason: RejectionReason::InsufficientStock.into(),
            product_id,
            ..Rejection::default()
        };
        assert_eq!(
            outcomes,
            [
                order_outcome::Outcome::Confirmed(StockConfirmed {}),
                order_outcome::Outcome::Rejected(expected)
            ]
        );
        let result = record_outcome_result::Result::Invalid(invalid("no such order"));
        plan.recorded(vec![
            Ok(RecordOutcomeResult {
                order_id: String::new(),
                result: None,
            }),
            Ok(RecordOutcomeResult {
                order_id: String::new(),
                result: Some(result),
            }),
        ]);
        plan.released(vec![Err("no".to_owned())]);
        let reasons: Vec<_> = plan
            .verdicts()
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Acknowledge => String::new(),
                Verdict::Reject(hopeless) => hopeless.to_string(),
            })
            .collect();
        assert_eq!(
            reasons,
            [
                "",
                "order-service refuses it: no such order",
                "",
                "inventory-service refuses it: no lines",
                "inventory-service refuses it: too big",
                "inventory-service refuses it: no",
            ]
        );
    }
}
