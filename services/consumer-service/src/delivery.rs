//! What a message carries beside its body.

use chassis::telemetry::trace;
use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use proto::trace::TraceContext;

/// The message's id, which is its event's.
pub fn message_id(properties: &BasicProperties) -> Option<&str> {
    properties.message_id().as_ref().map(ShortString::as_str)
}

/// The trace context in the message's headers; empty where there is none.
pub fn trace_context(properties: &BasicProperties) -> TraceContext {
    trace::extract(|name| match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(value) => str::from_utf8(value.as_bytes()).ok(),
        _ => None,
    })
}
