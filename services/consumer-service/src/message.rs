//! What a message says: from the body to the work it asks for, or to the reason why nobody can ever do it.

use chassis::telemetry::trace;
use proto::{
    event::{CloudEvent, EventType, OrderCancelled, OrderCreated, SPEC_VERSION, is_type_name},
    inventory::StockLine,
    trace::TraceContext,
};
use serde::de::DeserializeOwned;
use serde_json::{error::Category, value::RawValue};
use uuid::Uuid;

/// What a message asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Take the stock of an order, then record the outcome.
    Allocate {
        /// The order.
        order_id: Uuid,
        /// What was ordered.
        lines: Vec<StockLine>,
    },
    /// Give back the stock of an order.
    Release {
        /// The order.
        order_id: Uuid,
    },
    /// Nothing: an event that concerns others, from a queue with more bindings than ours.
    Nothing,
    /// Nothing here: an event of a type that this version doesn't know. It is left to who does.
    Unknown {
        /// The type.
        kind: String,
    },
}

/// A message that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it asks for.
    pub work: Work,
    /// The trace that the envelope tells of.
    pub trace: TraceContext,
}

/// Why a message can never be worked off. The text never repeats the message's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is no CloudEvents envelope in JSON.
    #[error("not a CloudEvents envelope: {0}")]
    Envelope(Defect),
    /// Another version of CloudEvents.
    #[error("not CloudEvents {SPEC_VERSION}")]
    SpecVersion,
    /// Nothing that any version of this system publishes.
    #[error("not an event type")]
    Type,
    /// The data is not what the type says.
    #[error("data does not fit the event type: {0}")]
    Data(Defect),
    /// The message and its envelope tell of different events.
    #[error("the message id is not the event's id")]
    Id,
    /// The envelope and its data tell of different orders.
    #[error("the subject is not the data's order")]
    Subject,
}

/// What is wrong with a JSON text, without quoting it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line} column {column}")]
pub struct Defect {
    what: &'static str,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Defect {
    fn from(error: serde_json::Error) -> Self {
        let what = match error.classify() {
            Category::Data => "wrong type or missing field",
            Category::Eof => "unexpected end",
            Category::Syntax | Category::Io => "not JSON",
        };
        Self {
            what,
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Reads a body. `message_id` is the message's own, which must be the event's where there is one.
pub fn read(message_id: Option<&str>, body: &[u8]) -> Result<Event, Malformed> {
    let event: CloudEvent<String, &RawValue> =
        serde_json::from_slice(body).map_err(|error| Malformed::Envelope(error.into()))?;
    if event.specversion != SPEC_VERSION {
        return Err(Malformed::SpecVersion);
    }
    if event.id.is_empty() || message_id.is_some_and(|id| id != event.id) {
        return Err(Malformed::Id);
    }
    let work = match EventType::parse(&event.kind) {
        Some(EventType::OrderCreated) => {
            let OrderCreated { order_id, lines, .. } = data(event.data)?;
            let lines = lines.into_iter().map(|line| StockLine {
                product_id: line.product_id.to_string(),
                quantity: line.quantity,
            });
            Work::Allocate {
                order_id: about(&event.subject, order_id)?,
                lines: lines.collect(),
            }
        }
        Some(EventType::OrderCancelled) => {
            let OrderCancelled { order_id, .. } = data(event.data)?;
            Work::Release {
                order_id: about(&event.subject, order_id)?,
            }
        }
        // What moves no stock of an order: its queue is bound to none of them.
        Some(
            EventType::OrderConfirmed
            | EventType::OrderRejected
            | EventType::OrderCompleted
            | EventType::ProductCreated
            | EventType::ProductUpdated
            | EventType::ProductDeleted
            | EventType::StockChanged
            | EventType::UserRegistered
            | EventType::UserUpdated
            | EventType::UserPasswordChanged,
        ) => Work::Nothing,
        None if is_type_name(&event.kind) => Work::Unknown { kind: event.kind },
        None => return Err(Malformed::Type),
    };
    let trace = trace::extract(|name| match name {
        "traceparent" => event.traceparent.as_deref(),
        _ => event.tracestate.as_deref(),
    });
    Ok(Event { work, trace })
}

fn data<T: DeserializeOwned>(data: &RawValue) -> Result<T, Malformed> {
    serde_json::from_str(data.get()).map_err(|error| Malformed::Data(error.into()))
}

fn about(subject: &str, order_id: Uuid) -> Result<Uuid, Malformed> {
    let subject = Uuid::try_parse(subject).map_err(|_| Malformed::Subject)?;
    if subject == order_id {
        Ok(order_id)
    } else {
        Err(Malformed::Subject)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0198c0de-0000-7000-8000-00000000000e";
    const ORDER: &str = "0198c0de-0000-7000-8000-00000000000a";
    const PRODUCT: &str = "0198c0de-0000-7000-8000-00000000000b";

    fn created() -> Value {
        json!({
            "specversion": "1.0",
            "id": ID,
            "source": "/order-service",
            "type": "order.created",
            "subject": ORDER,
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "tracestate": "vendor=\"quoted\"",
            "data": {
                "order_id": ORDER,
                "user_id": ORDER,
                "lines": [{ "product_id": PRODUCT, "quantity": 3 }],
                "total_minor_units": 300,
                "currency": "EUR",
            },
        })
    }

    fn read_value(value: &Value) -> Result<Event, Malformed> {
        read(Some(ID), &serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn a_created_order_asks_for_its_stock() {
        let event = read_value(&created()).unwrap();
        let lines = vec![StockLine {
            product_id: PRODUCT.to_owned(),
            quantity: 3,
        }];
        assert_eq!(
            event.work,
            Work::Allocate {
                order_id: ORDER.parse().unwrap(),
                lines
            }
        );
        assert_eq!(event.trace.tracestate, "vendor=\"quoted\"");
    }

    #[test]
    fn a_cancelled_order_gives_its_stock_back_and_the_rest_is_for_others() {
        let mut value = created();
        value["type"] = json!("order.cancelled");
        assert_eq!(
            read_value(&value).unwrap().work,
            Work::Release {
                order_id: ORDER.parse().unwrap()
            }
        );
        for kind in ["order.confirmed", "order.rejected", "order.completed"] {
            value["type"] = json!(kind);
            assert_eq!(read_value(&value).unwrap().work, Work::Nothing);
        }
    }

    #[test]
    fn what_a_newer_version_adds_is_left_to_who_knows_it() {
        let mut value = created();
        value["dataschema"] = json!("urn:shop:event:order.created:1");
        value["comexampleother"] = json!("of no concern");
        value["data"]["gift"] = json!(true);
        assert!(matches!(read_value(&value).unwrap().work, Work::Allocate { .. }));
        value["type"] = json!("order.gift-wrapped");
        value["subject"] = json!("no order");
        let kind = "order.gift-wrapped".to_owned();
        assert_eq!(read_value(&value).unwrap().work, Work::Unknown { kind });
    }

    #[test]
    fn a_trace_is_bounded_where_it_is_read() {
        let mut value = created();
        value["tracestate"] = json!(format!("a={}", "x".repeat(10_000)));
        assert_eq!(read_value(&value).unwrap().trace.tracestate, "");
        value["traceparent"] = json!("x".repeat(10_000));
        assert_eq!(read_value(&value).unwrap().trace, TraceContext::default());
    }

    #[test]
    fn what_makes_no_sense_is_told_apart() {
        let defect = |spoil: fn(&mut Value)| {
            let mut value = created();
            spoil(&mut value);
            read_value(&value).unwrap_err()
        };
        assert_eq!(
            defect(|event| event["specversion"] = json!("0.3")),
            Malformed::SpecVersion
        );
        assert_eq!(defect(|event| event["type"] = json!("")), Malformed::Type);
        assert_eq!(
            defect(|event| event["type"] = json!("Order Created")),
            Malformed::Type
        );
        assert_eq!(defect(|event| event["id"] = json!(ORDER)), Malformed::Id);
        assert_eq!(
            defect(|event| event["subject"] = json!(PRODUCT)),
            Malformed::Subject
        );
        assert_eq!(defect(|event| event["subject"] = json!("it")), Malformed::Subject);
        assert!(matches!(
            defect(|event| event["data"] = json!({})),
            Malformed::Data(_)
        ));
        assert!(matches!(
            defect(|event| event["data"]["lines"][0]["quantity"] = json!(1.5)),
            Malformed::Data(_)
        ));
        assert!(matches!(
            defect(|event| drop(event.as_object_mut().unwrap().remove("source"))),
            Malformed::Envelope(_)
        ));
        assert!(matches!(read(None, b"\xff\x00"), Err(Malformed::Envelope(_))));
    }

    #[test]
    fn a_reason_never_quotes_the_message() {
        let mut value = created();
        value["data"]["user_id"] = json!("alice@example.com");
        let reason = read_value(&value).unwrap_err().to_string();
        assert!(!reason.contains("alice"), "{reason}");
    }
}
