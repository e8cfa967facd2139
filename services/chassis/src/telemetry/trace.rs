//! The trace of one item among many.
//!
//! A batch crosses the process boundary as one call, but each of its items belongs to a request, and so to a trace, of
//! its own. An item therefore carries its W3C trace context in its message ([`TraceContext`]), and the call carries
//! its own in its metadata. Where all items are of one trace, the call is part of it; where they are of many, the call
//! is a trace of its own that is linked to all of theirs, as the semantic conventions ask of batches.

use std::str::FromStr as _;

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use proto::trace::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// More links than this are not worth their bytes.
const MAX_LINKS: usize = 128;

/// The context of the current span, to be carried by a message. Empty outside of any span.
pub fn current() -> TraceContext {
    of(&Span::current())
}

/// The context of that span, to be carried by a message.
pub fn of(span: &Span) -> TraceContext {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    if !context.is_valid() {
        return TraceContext::default();
    }
    TraceContext {
        traceparent: format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8()
        ),
        tracestate: context.trace_state().header(),
    }
}

/// The hexadecimal trace id of the current span.
pub fn trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Whether the item's trace is recorded; a span of an item's own is needed only then.
pub fn is_sampled(context: &TraceContext) -> bool {
    parse(context).is_some_and(|context| context.is_sampled())
}

/// Makes the span a child of that context. To be called before the span is entered; a context that is empty or
/// malformed changes nothing.
pub fn set_parent(span: &Span, parent: &TraceContext) {
    if let Some(parent) = parse(parent) {
        set_remote_parent(span, parent);
    }
}

/// Links the span to that context.
pub fn add_link(span: &Span, to: &TraceContext) {
    if let Some(to) = parse(to) {
        span.add_link(to);
    }
}

/// Ties a batch's span to the traces of its items: a child where they all have the same context, otherwise linked to
/// each. The span should be created with `parent: None`.
pub fn set_batch_parent<'a>(span: &Span, items: impl Iterator<Item = &'a TraceContext>) {
    let mut contexts: Vec<SpanContext> = Vec::new();
    for context in items
        .filter(|context| is_sampled(context))
        .take(MAX_LINKS)
        .filter_map(parse)
    {
        if !contexts.contains(&context) {
            contexts.push(context);
        }
    }
    match <[SpanContext; 1]>::try_from(contexts) {
        Ok([only]) => set_remote_parent(span, only),
        Err(many) => many.into_iter().for_each(|context| span.add_link(context)),
    }
}

/// Ties one item's span to its trace within the handling of a batch: where the batch's span, which must be the
/// current one, is in the item's trace already, the item's span is its child; otherwise it is a child of the item's
/// own context, with a link to the batch.
pub fn item_span_parent(span: &Span, item: &TraceContext) {
    let Some(item) = parse(item) else { return };
    let batch = Span::current().context();
    let batch = batch.span().span_context().clone();
    if batch.trace_id() == item.trace_id() {
        set_remote_parent(span, batch);
    } else {
        set_remote_parent(span, item);
        if batch.is_valid() {
            span.add_link(batch);
        }
    }
}

fn set_remote_parent(span: &Span, parent: SpanContext) {
    if let Err(error) = span.set_parent(Context::new().with_remote_span_context(parent)) {
        // A span that no layer records has no parent to set; anything else is a mistake in the order of calls.
        tracing::trace!(%error, "a span keeps its own parent");
    }
}

/// Reads the two headers, as <https://www.w3.org/TR/trace-context/> version 00 writes them.
fn parse(context: &TraceContext) -> Option<SpanContext> {
    let mut parts = context.traceparent.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A later version may have more parts; version 00 has none, and ff is not allowed.
    if version.len() != 2 || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    if trace_id.len() != 32 || span_id.len() != 16 || flags.len() != 2 {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace_id).ok()?,
        SpanId::from_hex(span_id).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::from_str(&context.tracestate).unwrap_or_default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(traceparent: &str) -> TraceContext {
        TraceContext {
            traceparent: traceparent.to_owned(),
            tracestate: String::new(),
        }
    }

    #[test]
    fn sampling_is_read_from_the_flags() {
        let ids = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        assert!(is_sampled(&context(&format!("{ids}-01"))));
        assert!(is_sampled(&context(&format!("{ids}-03"))));
        assert!(!is_sampled(&context(&format!("{ids}-00"))));
    }

    #[test]
    fn malformed_contexts_are_no_contexts() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
            "00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(parse(&context(text)).is_none(), "{text}");
        }
    }
}
