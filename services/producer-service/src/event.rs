//! What may be published, and how it is written: the CloudEvents envelope around an event's data.
//!
//! An event of a type that this version doesn't know is published too: a newer service must not have its events refused by
//! an older producer-service beside it. Nothing is known of such a type, so it is not mandatory, and it has no
//! `dataschema`.

use proto::{
    event::{CloudEvent, EventType, SPEC_VERSION, is_type_name},
    producer::Event,
    trace::TraceContext,
};
use serde_json::value::RawValue;
use time::OffsetDateTime;

/// AMQP's short strings, of which the message id is one, hold no more bytes.
const MAX_ID_BYTES: usize = 255;
/// About what the envelope adds to the data.
const ENVELOPE_BYTES: usize = 384;

/// Why an event can't be published as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// No id, or one that does not fit into the message's properties.
    #[error("must have 1 to {MAX_ID_BYTES} bytes")]
    Id,
    /// Nothing that may be an event type ([`is_type_name`]).
    #[error("must be lower-case words with dots between them, such as order.created")]
    Type,
    /// No source.
    #[error("must not be empty")]
    Source,
    /// No subject.
    #[error("must not be empty")]
    Subject,
    /// No time, or one outside of the years 0 to 9999.
    #[error("must be set, and within the years 0 to 9999")]
    Time,
    /// Not one JSON value.
    #[error("must be a JSON document")]
    Data,
}

impl InvalidEvent {
    /// The field of [`Event`] at fault.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "type",
            Self::Source => "source",
            Self::Subject => "subject",
            Self::Time => "time",
            Self::Data => "data",
        }
    }
}

/// An event that can be published.
#[derive(Clone, Copy, Debug)]
pub struct ValidEvent<'a> {
    /// Its type; none where only a newer version knows it.
    pub kind: Option<EventType>,
    /// When it happened.
    pub time: OffsetDateTime,
    event: &'a Event,
    data: &'a RawValue,
}

impl<'a> ValidEvent<'a> {
    /// Checks an event. Its data is checked to be JSON and otherwise not looked at.
    pub fn new(event: &'a Event) -> Result<Self, InvalidEvent> {
        if event.id.is_empty() || event.id.len() > MAX_ID_BYTES {
            return Err(InvalidEvent::Id);
        }
        let kind = EventType::parse(&event.r#type);
        if kind.is_none() && !is_type_name(&event.r#type) {
            return Err(InvalidEvent::Type);
        }
        if event.source.is_empty() {
            return Err(InvalidEvent::Source);
        }
        if event.subject.is_empty() {
            return Err(InvalidEvent::Subject);
        }
        let time = time_of(event).ok_or(InvalidEvent::Time)?;
        let data = serde_json::from_slice(&event.data).map_err(|_| InvalidEvent::Data)?;
        Ok(Self {
            kind,
            time,
            event,
            data,
        })
    }

    /// Its id.
    pub fn id(&self) -> &'a str {
        &self.event.id
    }

    /// Its type's name, which is the routing key.
    pub fn type_name(&self) -> &'a str {
        &self.event.r#type
    }

    /// Whether somebody must get it.
    pub fn is_mandatory(&self) -> bool {
        self.kind.is_some_and(EventType::is_mandatory)
    }

    /// The CloudEvents envelope in JSON. `trace` becomes the distributed tracing extension.
    pub fn encode(&self, trace: &TraceContext) -> Result<Vec<u8>, InvalidEvent> {
        let envelope = CloudEvent {
            specversion: SPEC_VERSION,
            id: self.id(),
            source: &self.event.source,
            kind: self.type_name(),
            subject: &self.event.subject,
            time: self.time,
            datacontenttype: "application/json",
            dataschema: self.kind.map(EventType::data_schema),
            traceparent: present(&trace.traceparent),
            tracestate: present(&trace.tracestate),
            data: self.data,
        };
        let mut body = Vec::with_capacity(self.event.data.len() + ENVELOPE_BYTES);
        // The time is the only part that has values without a text form.
        serde_json::to_writer(&mut body, &envelope).map_err(|_| InvalidEvent::Time)?;
        Ok(body)
    }
}

fn present(header: &str) -> Option<&str> {
    Some(header).filter(|header| !header.is_empty())
}

fn time_of(event: &Event) -> Option<OffsetDateTime> {
    let time = event.time.as_ref()?;
    let nanos = u32::try_from(time.nanos).ok()?;
    let time = OffsetDateTime::from_unix_timestamp(time.seconds)
        .ok()?
        .replace_nanosecond(nanos)
        .ok()?;
    (0..=9999).contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use prost_types::Timestamp;
    use serde_json::json;

    use super::*;

    #[allow(clippy::unnecessary_wraps)]
    fn at(seconds: i64, nanos: i32) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos })
    }

    fn event() -> Event {
        Event {
            id: "0198c0de-0000-7000-8000-000000000001".to_owned(),
            r#type: "order.created".to_owned(),
            source: "/order-service".to_owned(),
            subject: "0198c0de-0000-7000-8000-000000000002".to_owned(),
            time: Some(Timestamp {
                seconds: 1_767_225_600,
                nanos: 250_000_000,
            }),
            data: br#"{ "total": 1234567890123456789.10 }"#.to_vec(),
            trace: None,
        }
    }

    #[test]
    fn the_envelope_has_every_attribute_and_the_data_as_it_came() {
        let trace = TraceContext {
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".to_owned(),
            tracestate: "a=\"b\"".to_owned(),
        };
        let event = event();
        let body = ValidEvent::new(&event).unwrap().encode(&trace).unwrap();
        assert!(String::from_utf8_lossy(&body).ends_with(r#""data":{ "total": 1234567890123456789.10 }}"#));
        let mut envelope: serde_json::Value = serde_json::from_slice(&body).unwrap();
        envelope.as_object_mut().unwrap().remove("data");
        assert_eq!(
            envelope,
            json!({
                "specversion": "1.0",
                "id": "0198c0de-0000-7000-8000-000000000001",
                "source": "/order-service",
                "type": "order.created",
                "subject": "0198c0de-0000-7000-8000-000000000002",
                "time": "2026-01-01T00:00:00.25Z",
                "datacontenttype": "application/json",
                "dataschema": "urn:shop:event:order.created:1",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
                "tracestate": "a=\"b\"",
            })
        );
    }

    #[test]
    fn no_trace_leaves_no_attribute() {
        let event = event();
        let body = ValidEvent::new(&event)
            .unwrap()
            .encode(&TraceContext::default())
            .unwrap();
        assert!(!String::from_utf8(body).unwrap().contains("trace"));
    }

    #[test]
    fn a_type_of_a_newer_version_is_published_without_a_claim_about_it() {
        let event = Event {
            r#type: "order.gift-wrapped".to_owned(),
            ..event()
        };
        let valid = ValidEvent::new(&event).unwrap();
        assert_eq!((valid.kind, valid.is_mandatory()), (None, false));
        let body = valid.encode(&TraceContext::default()).unwrap();
        let envelope: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(envelope["type"], "order.gift-wrapped");
        assert_eq!(envelope.get("dataschema"), None);
    }

    #[test]
    fn each_defect_names_its_field() {
        type Spoil = fn(&mut Event);
        let defects: [(&str, Spoil); 13] = [
            ("id", |event| event.id.clear()),
            ("id", |event| event.id = "x".repeat(256)),
            ("type", |event| event.r#type = "order lost".to_owned()),
            ("type", |event| {
                event.r#type = format!("order.{}", "x".repeat(250));
            }),
            ("type", |event| event.r#type.clear()),
            ("source", |event| event.source.clear()),
            ("subject", |event| event.subject.clear()),
            ("time", |event| event.time = None),
            ("time", |event| event.time = at(i64::MAX, 0)),
            ("time", |event| event.time = at(-62_167_219_201, 0)),
            ("time", |event| event.time = at(0, 1_000_000_000)),
            ("data", |event| event.data.clear()),
            ("data", |event| event.data = b"{} {}".to_vec()),
        ];
        for (field, spoil) in defects {
            let mut event = event();
            spoil(&mut event);
            assert_eq!(ValidEvent::new(&event).map(|_| ()).unwrap_err().field(), field);
        }
    }
}
