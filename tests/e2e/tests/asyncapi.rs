//! `docs/asyncapi.yaml` says what the types and the topology say.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;

use chassis::amqp::topology::{Argument, BINDINGS, EXCHANGE, QUEUE, QUEUES, ROUTING_KEYS};
use e2e::AsyncApi;
use proto::event::{
    CloudEvent, EventType, OrderCancelled, OrderCreated, OrderDecided, OrderedLine, ProductState,
    RejectedLine, StockChangeKind, StockChanged, UserPasswordChanged, UserState,
};
use serde_json::{Value, json};
use uuid::Uuid;

const SUBJECT: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0002);
const OTHER: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0003);

/// Data of that type, with everything that it may have.
fn data(kind: EventType) -> Value {
    let data = match kind {
        EventType::OrderCreated => serde_json::to_value(OrderCreated {
            order_id: SUBJECT,
            user_id: OTHER,
            lines: vec![OrderedLine {
                product_id: OTHER,
                quantity: 1,
            }],
            total_minor_units: 0,
            currency: "EUR".to_owned(),
        }),
        EventType::OrderCancelled => serde_json::to_value(OrderCancelled {
            order_id: SUBJECT,
            user_id: OTHER,
        }),
        EventType::OrderConfirmed | EventType::OrderCompleted => serde_json::to_value(OrderDecided {
            order_id: SUBJECT,
            user_id: OTHER,
            reason: None,
            product_id: None,
            lines: Vec::new(),
        }),
        EventType::OrderRejected => serde_json::to_value(OrderDecided {
            order_id: SUBJECT,
            user_id: OTHER,
            reason: Some("product_not_found".to_owned()),
            product_id: Some(OTHER),
            lines: vec![RejectedLine {
                product_id: OTHER,
                reason: "product_not_found".to_owned(),
            }],
        }),
        EventType::ProductCreated | EventType::ProductUpdated | EventType::ProductDeleted => {
            serde_json::to_value(ProductState {
                product_id: SUBJECT,
                sku: String::new(),
                name: "Cup".to_owned(),
                description: String::new(),
                price_minor_units: 0,
                currency: "EUR".to_owned(),
                category: String::new(),
                image_url: String::new(),
                version: 1,
            })
        }
        EventType::StockChanged => serde_json::to_value(StockChanged {
            product_id: SUBJECT,
            kind: StockChangeKind::Allocation,
            delta: -1,
            available: 0,
        }),
        EventType::UserRegistered | EventType::UserUpdated => serde_json::to_value(UserState {
            user_id: SUBJECT,
            role: "admin".to_owned(),
            disabled: true,
        }),
        EventType::UserPasswordChanged => serde_json::to_value(UserPasswordChanged { user_id: SUBJECT }),
    };
    data.unwrap()
}

/// The envelope as the program writes it.
fn event(kind: EventType) -> Value {
    let event: CloudEvent<String, Value> = serde_json::from_value(json!({
        "specversion": proto::event::SPEC_VERSION,
        "id": OTHER,
        "source": kind.source(),
        "type": kind.as_str(),
        "subject": SUBJECT,
        "time": "2026-01-01T00:00:00.25Z",
        "datacontenttype": "application/json",
        "dataschema": kind.data_schema(),
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
        "data": data(kind),
    }))
    .unwrap();
    serde_json::to_value(event).unwrap()
}

/// The texts under that key in each of a list.
fn texts<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item[key].as_str().unwrap()).collect()
}

#[test]
fn every_type_is_documented_and_every_documented_type_is_one() {
    let api = AsyncApi::read().unwrap();
    let types: BTreeSet<&str> = EventType::ALL.map(EventType::as_str).into();
    assert_eq!(api.types().collect::<BTreeSet<_>>(), types);
    let document = api.document();
    let channel = &document["channels"]["events"];
    let channel_messages = channel["messages"].as_object().unwrap();
    assert_eq!(
        channel_messages
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        types
    );
    let operations = document["operations"].as_object().unwrap();
    let sent = operations
        .iter()
        .filter(|(_, operation)| operation["action"] == "send");
    assert_eq!(
        sent.map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>(),
        types
    );
    for kind in EventType::ALL {
        let name = kind.as_str();
        let operation = &operations[name];
        let message = api.follow(&operation["messages"][0]).unwrap();
        assert_eq!(api.follow(message).unwrap()["name"], name);
        assert_eq!(api.follow(&operation["channel"]).unwrap(), channel);
        // The broker says of every event whether a queue takes it; what follows from that is the trait.
        let mandatory = &operation["traits"][0];
        let expected = if kind.is_mandatory() {
            "mandatory"
        } else {
            "optional"
        };
        assert_eq!(
            mandatory["$ref"],
            format!("#/components/operationTraits/{expected}"),
            "{name}"
        );
        let bindings = &api.follow(mandatory).unwrap()["bindings"]["amqp"];
        assert_eq!(bindings["mandatory"], true, "{name}");
    }
}

#[test]
fn the_exchange_and_the_queue_are_those_of_the_topology() {
    let api = AsyncApi::read().unwrap();
    let channels = &api.document()["channels"];
    assert_eq!(
        channels["events"]["bindings"]["amqp"]["exchange"]["name"],
        EXCHANGE
    );
    let orders = &channels["orders"];
    assert_eq!(
        (&orders["address"], &orders["bindings"]["amqp"]["queue"]["name"]),
        (&json!(QUEUE), &json!(QUEUE))
    );
    let bound = BINDINGS.iter().filter(|binding| binding.queue == QUEUE);
    let bound: Vec<_> = bound
        .map(|binding| json!({ "exchange": binding.exchange, "routingKey": binding.routing_key }))
        .collect();
    assert_eq!(orders["x-bindings"], json!(bound));
    let queue = QUEUES.iter().find(|queue| queue.name == QUEUE).unwrap();
    let arguments = queue.arguments.iter().map(|(name, argument)| {
        let value = match argument {
            Argument::Text(text) => json!(text),
            Argument::Number(number) => json!(number),
        };
        ((*name).to_owned(), value)
    });
    assert_eq!(orders["x-arguments"], Value::Object(arguments.collect()));
    let messages = orders["messages"].as_object().unwrap();
    assert_eq!(
        messages.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(ROUTING_KEYS)
    );
    let received = &api.document()["operations"]["workOrdersOff"]["messages"];
    assert_eq!(texts(received, "$ref").len(), ROUTING_KEYS.len());
}

#[test]
fn what_the_types_write_is_what_is_documented_no_more_and_no_less() {
    let api = AsyncApi::read().unwrap();
    for kind in EventType::ALL {
        let event = event(kind);
        api.check(&event).unwrap();

        let mut more = event.clone();
        more["data"]["undocumented"] = json!(1);
        assert!(api.check(&more).is_err(), "{more}");
        let mut more = event.clone();
        more["undocumented"] = json!(1);
        assert!(api.check(&more).is_err(), "{more}");

        for field in event["data"].as_object().unwrap().keys() {
            let mut less = event.clone();
            less["data"].as_object_mut().unwrap().remove(field);
            // The version before writes none.
            let is_optional = kind == EventType::OrderRejected && field == "lines";
            assert_eq!(api.check(&less).is_ok(), is_optional, "{less}");
        }
        for field in event.as_object().unwrap().keys() {
            let mut less = event.clone();
            less.as_object_mut().unwrap().remove(field);
            let is_optional = field.starts_with("trace");
            assert_eq!(api.check(&less).is_ok(), is_optional, "{less}");
        }
        let mut elsewhere = event.clone();
        elsewhere["source"] = json!("/elsewhere");
        assert!(api.check(&elsewhere).is_err(), "{elsewhere}");
    }
}

#[test]
fn the_examples_are_what_they_are_examples_of_and_every_reference_leads_somewhere() {
    let api = AsyncApi::read().unwrap();
    for (name, message) in api.document()["components"]["messages"].as_object().unwrap() {
        let example = &message["examples"][0]["payload"];
        assert_eq!(example["type"], *name);
        api.check(example).unwrap();
    }
    let mut values = vec![api.document()];
    let mut references = 0;
    while let Some(value) = values.pop() {
        if value.get("$ref").is_some() {
            api.follow(value).unwrap();
            references += 1;
        }
        values.extend(value.as_object().into_iter().flat_map(|object| object.values()));
        values.extend(value.as_array().into_iter().flatten());
    }
    assert!(references > 0);
}
