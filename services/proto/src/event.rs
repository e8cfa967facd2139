//! The events of the shop as they cross RabbitMQ: [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)
//! in structured JSON mode. CloudEvents has no binding for AMQP 0.9.1; the structured mode needs none, since the whole
//! event is the message's body.
//!
//! order-service, inventory-service and user-service write an event's [`data`](CloudEvent::data), producer-service puts it
//! in its envelope, and consumer-service reads both of those that move stock. `docs/asyncapi.yaml` describes all of them
//! for whoever else wants to.
//!
//! An event is for many readers and lives on in their queues and logs: it holds no secret and nothing personal. A user
//! is an id here; their name and email are read from user-service, by whoever may.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// The media type of the envelope.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The version of CloudEvents that the envelope follows.
pub const SPEC_VERSION: &str = "1.0";
/// The `source` of every event of an order.
pub const ORDER_SOURCE: &str = "/order-service";
/// The `source` of every event of a product and its stock.
pub const INVENTORY_SOURCE: &str = "/inventory-service";
/// The `source` of every event of a user.
pub const USER_SOURCE: &str = "/user-service";

/// How long after the broker had no queue for an event none of its type is published, unless it is mandatory
/// ([`EventType::is_mandatory`]). A new binding is noticed after so long at the latest.
pub const UNHEARD_FOR: Duration = Duration::from_secs(1);

/// What happened. The text form is the CloudEvents `type` and the AMQP routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A customer placed it; its stock is wanted. Data: [`OrderCreated`].
    OrderCreated,
    /// It was cancelled; its stock is free again. Data: [`OrderCancelled`].
    OrderCancelled,
    /// All of its stock is allocated. Data: [`OrderDecided`].
    OrderConfirmed,
    /// Its stock can't be had. Data: [`OrderDecided`].
    OrderRejected,
    /// It was fulfilled. Data: [`OrderDecided`].
    OrderCompleted,
    /// A product is for sale. Data: [`ProductState`].
    ProductCreated,
    /// Its details changed. Data: [`ProductState`].
    ProductUpdated,
    /// It is no longer for sale. Data: [`ProductState`], as it was.
    ProductDeleted,
    /// Units of a product came or went. Data: [`StockChanged`].
    StockChanged,
    /// Somebody has an account. Data: [`UserState`].
    UserRegistered,
    /// Its name, or what it may do, changed. Data: [`UserState`].
    UserUpdated,
    /// Its password changed, and its sessions ended. Data: [`UserPasswordChanged`].
    UserPasswordChanged,
}

impl EventType {
    /// Every type there is.
    pub const ALL: [Self; 12] = [
        Self::OrderCreated,
        Self::OrderCancelled,
        Self::OrderConfirmed,
        Self::OrderRejected,
        Self::OrderCompleted,
        Self::ProductCreated,
        Self::ProductUpdated,
        Self::ProductDeleted,
        Self::StockChanged,
        Self::UserRegistered,
        Self::UserUpdated,
        Self::UserPasswordChanged,
    ];

    /// The CloudEvents `type`, which is the routing key too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderCreated => "order.created",
            Self::OrderCancelled => "order.cancelled",
            Self::OrderConfirmed => "order.confirmed",
            Self::OrderRejected => "order.rejected",
            Self::OrderCompleted => "order.completed",
            Self::ProductCreated => "product.created",
            Self::ProductUpdated => "product.updated",
            Self::ProductDeleted => "product.deleted",
            Self::StockChanged => "stock.changed",
            Self::UserRegistered => "user.registered",
            Self::UserUpdated => "user.updated",
            Self::UserPasswordChanged => "user.password_changed",
        }
    }

    /// Whether somebody must get it: an event that moves stock may not vanish for want of a queue.
    pub const fn is_mandatory(self) -> bool {
        matches!(self, Self::OrderCreated | Self::OrderCancelled)
    }

    /// The CloudEvents `dataschema`: which version of the type's data this is. A version that readers of the one before
    /// can't read has another number.
    pub const fn data_schema(self) -> &'static str {
        match self {
            Self::OrderCreated => "urn:shop:event:order.created:1",
            Self::OrderCancelled => "urn:shop:event:order.cancelled:1",
            Self::OrderConfirmed => "urn:shop:event:order.confirmed:1",
            Self::OrderRejected => "urn:shop:event:order.rejected:1",
            Self::OrderCompleted => "urn:shop:event:order.completed:1",
            Self::ProductCreated => "urn:shop:event:product.created:1",
            Self::ProductUpdated => "urn:shop:event:product.updated:1",
            Self::ProductDeleted => "urn:shop:event:product.deleted:1",
            Self::StockChanged => "urn:shop:event:stock.changed:1",
            Self::UserRegistered => "urn:shop:event:user.registered:1",
            Self::UserUpdated => "urn:shop:event:user.updated:1",
            Self::UserPasswordChanged => "urn:shop:event:user.password_changed:1",
        }
    }

    /// The service that it happens in: the CloudEvents `source`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::OrderCreated
            | Self::OrderCancelled
            | Self::OrderConfirmed
            | Self::OrderRejected
            | Self::OrderCompleted => ORDER_SOURCE,
            Self::ProductCreated | Self::ProductUpdated | Self::ProductDeleted | Self::StockChanged => {
                INVENTORY_SOURCE
            }
            Self::UserRegistered | Self::UserUpdated | Self::UserPasswordChanged => USER_SOURCE,
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The most bytes of a type's name.
const MAX_TYPE: usize = 128;

/// Whether that may be the name of an event's type, of this version or another: lower-case words of letters, digits,
/// `_` and `-`, at least two, with dots between them. What a reader doesn't know but may be a type is left to who does.
pub fn is_type_name(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    name.len() <= MAX_TYPE && name.contains('.') && name.split('.').all(is_word)
}

/// The envelope. Attributes that a reader doesn't know are ignored. `D` is the type of the data: a struct of this module, or
/// `serde_json`'s `RawValue` where only the envelope matters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloudEvent<S, D> {
    /// Always [`SPEC_VERSION`].
    pub specversion: S,
    /// Unique per event; a redelivery has the same one.
    pub id: S,
    /// The service that it happened in: see [`EventType::source`].
    pub source: S,
    /// One of [`EventType`], or of a newer version's.
    #[serde(rename = "type")]
    pub kind: S,
    /// The id of what it happened to: an order, a product or a user.
    pub subject: S,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Always `application/json`.
    pub datacontenttype: S,
    /// Which version of the type's data it is ([`EventType::data_schema`]). Readers do without it.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub dataschema: Option<S>,
    /// W3C trace context of what caused the event, as the distributed tracing extension defines it.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub traceparent: Option<S>,
    /// See `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub tracestate: Option<S>,
    /// What the type says.
    pub data: D,
}

/// The data of `order.created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// Equal to the envelope's subject.
    pub order_id: Uuid,
    /// Who placed it.
    pub user_id: Uuid,
    /// Each product once.
    pub lines: Vec<OrderedLine>,
    /// Sum of the order in minor units of `currency`.
    pub total_minor_units: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// A line of [`OrderCreated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedLine {
    /// The product.
    pub product_id: Uuid,
    /// Units wanted, from 1.
    pub quantity: i64,
}

/// The data of `order.cancelled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Equal to the envelope's subject.
    pub order_id: Uuid,
    /// Whose order it was.
    pub user_id: Uuid,
}

/// The data of `order.confirmed`, `order.rejected` and `order.completed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDecided {
    /// Equal to the envelope's subject.
    pub order_id: Uuid,
    /// Whose order it is.
    pub user_id: Uuid,
    /// Why it was rejected, as the HTTP API spells it: `insufficient_stock`, `product_not_found`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The product at fault, where it was rejected; the first of them where there are several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub product_id: Option<Uuid>,
    /// Every line at fault, the first one too, where it was rejected. Readers do without it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lines: Vec<RejectedLine>,
}

/// A line of an order that was rejected for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedLine {
    /// The product.
    pub product_id: Uuid,
    /// Why it can't be had, spelled as [`OrderDecided::reason`].
    pub reason: String,
}

/// The data of `product.created`, `product.updated` and `product.deleted`: all that anybody may read of a product, but
/// for its stock, which changes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductState {
    /// Equal to the envelope's subject.
    pub product_id: Uuid,
    /// Stock keeping unit.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// What one unit costs, in minor units of `currency`.
    pub price_minor_units: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Empty for none.
    pub category: String,
    /// Absolute URL; empty for none.
    pub image_url: String,
    /// Counts the changes of the details, from 1. A reader that has seen a later one is not to go back.
    pub version: i64,
}

/// The data of `stock.changed`: one for each product that a transaction moved units of. A transaction may be of many
/// orders, so it names none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChanged {
    /// Equal to the envelope's subject.
    pub product_id: Uuid,
    /// What moved them.
    pub kind: StockChangeKind,
    /// The sum of what moved, negative where stock left.
    pub delta: i64,
    /// Units for sale after it.
    pub available: i64,
}

/// What moved stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockChangeKind {
    /// The product was created with it.
    Initial,
    /// An admin's hand.
    Adjustment,
    /// Orders took it.
    Allocation,
    /// Orders gave it back.
    Release,
}

impl StockChangeKind {
    /// The text form, which inventory-service's ledger has too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment => "adjustment",
            Self::Allocation => "allocation",
            Self::Release => "release",
        }
    }
}

/// The data of `user.registered` and `user.updated`. Neither name nor email: see the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// Equal to the envelope's subject.
    pub user_id: Uuid,
    /// What the account may do: `user`, `admin`.
    pub role: String,
    /// Whether it is kept from logging in.
    pub disabled: bool,
}

/// The data of `user.password_changed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPasswordChanged {
    /// Equal to the envelope's subject.
    pub user_id: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_types_name_is_lower_case_words_with_dots_between() {
        for kind in EventType::ALL {
            assert!(is_type_name(kind.as_str()));
            assert_eq!(kind.data_schema(), format!("urn:shop:event:{}:1", kind.as_str()));
        }
        for newer in ["stock.counted", "order.paid-late_2", "a.b.c"] {
            assert!(is_type_name(newer), "{newer}");
        }
        let long = format!("order.{}", "x".repeat(MAX_TYPE));
        for other in [
            "",
            ".",
            "order",
            "order.",
            ".paid",
            "order..paid",
            "Order.paid",
            "order.2",
            "order.p#",
            &long,
        ] {
            assert!(!is_type_name(other), "{other}");
        }
    }
}
