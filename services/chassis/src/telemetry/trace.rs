//! The trace of one item among many.
//!
//! A batch crosses the process boundary as one call, but each of its items belongs to a request, and so to a trace, of
//! its own. An item therefore carries its W3C trace context in its message ([`TraceContext`]), and the call carries
//! its own in its metadata. Where all items are of one trace, the call is part of it; where they are of many, the call
//! is a trace of its own that is linked to all of theirs, as the semantic conventions ask of batches.
//!
//! **Whose context it is.** A context that comes from outside of the shop is a stranger's: it is linked to
//! ([`add_link`]) and never a parent, so it decides neither the ids of a trace nor whether it is recorded.
//!
//! **What is not recorded has no spans.** Where nobody sees a trace, because nothing is exported or the trace is not
//! sampled, a call passes its caller's context on as it came ([`Scope`]): log lines have the trace's id all the same, and
//! spans would cost a fifth of a call's time.
//!
//! **How long it may be.** A context may come from anybody, directly or by way of a row or a message, and what is
//! written into a call's metadata counts towards a limit of the peer's that refuses the whole call, with everybody else's
//! items in it. So everything is bounded here, where it is read ([`extract`], [`bounded`]) and again where it is written
//! ([`of`], [`inject`]): a `traceparent` of version 00 has 55 characters, and of a `tracestate` at most
//! [`MAX_TRACESTATE`] are kept.

use std::{borrow::Cow, future::Future, str::FromStr as _, sync::OnceLock};

use opentelemetry::{
    Context,
    trace::{
        FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        WithContext,
    },
};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use proto::trace::TraceContext;
use tracing::{Instrument as _, Span, instrument::Instrumented};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// More links than this are not worth their bytes.
const MAX_LINKS: usize = 128;
/// The most bytes of a `tracestate` that are passed on: as many as
/// [W3C](https://www.w3.org/TR/trace-context/#tracestate-limits) asks for.
pub const MAX_TRACESTATE: usize = 512;
/// The most entries of a `tracestate`, by the same page.
const MAX_ENTRIES: usize = 32;
/// Longer entries are the first to go, by the same page.
const LONG_ENTRY: usize = 128;
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Which traces this process records.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recording {
    /// None: nothing is exported.
    Nothing,
    /// Those that it begins and the sampler chooses, and of others those that are sampled.
    Sampled,
    /// Whatever the sampler says, of each span anew.
    AsTheSamplerSays,
}

static RECORDING: OnceLock<Recording> = OnceLock::new();

/// Decides for the rest of the process, the first time it is called.
pub(super) fn record(what: Recording) {
    RECORDING.get_or_init(|| what);
}

fn is_recorded(parent: Option<&SpanContext>) -> bool {
    match RECORDING.get() {
        Some(Recording::Nothing) => false,
        Some(Recording::Sampled) => parent.is_none_or(SpanContext::is_sampled),
        Some(Recording::AsTheSamplerSays) | None => true,
    }
}

/// What a piece of work is in its trace: a span where the trace is recorded, and its caller's context where it is not.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Of a trace that is not recorded there is none.
    span: Span,
    context: Context,
}

impl Scope {
    /// The beginning of a trace. The span must be made with `parent: None`.
    pub fn root(span: impl FnOnce() -> Span) -> Self {
        if is_recorded(None) {
            return Self {
                span: span(),
                context: Context::new(),
            };
        }
        Self::unrecorded(None)
    }

    /// A part of the current scope.
    pub fn child(span: impl FnOnce() -> Span) -> Self {
        let context = Context::current();
        let parent = context.span().span_context().clone();
        let parent = parent.is_valid().then_some(parent);
        if is_recorded(parent.as_ref()) {
            return Self {
                span: span(),
                context,
            };
        }
        if parent.is_some() {
            return Self {
                span: Span::none(),
                context,
            };
        }
        Self::unrecorded(None)
    }

    /// What another process asked for. Without its context it is the beginning of a trace.
    pub fn remote(parent: Option<SpanContext>, span: impl FnOnce() -> Span) -> Self {
        if !is_recorded(parent.as_ref()) {
            return Self::unrecorded(parent);
        }
        let span = span();
        if let Some(parent) = parent {
            set_remote_parent(&span, parent);
        }
        Self {
            span,
            context: Context::current(),
        }
    }

    fn unrecorded(parent: Option<SpanContext>) -> Self {
        let context = parent.unwrap_or_else(|| {
            SpanContext::new(
                RandomIdGenerator::default().new_trace_id(),
                RandomIdGenerator::default().new_span_id(),
                TraceFlags::NOT_SAMPLED,
                false,
                TraceState::NONE,
            )
        });
        Self {
            span: Span::none(),
            context: Context::new().with_remote_span_context(context),
        }
    }

    /// Its span, to add to; of a trace that is not recorded one that takes everything and keeps nothing.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Its context, to be carried by a message.
    pub fn context(&self) -> TraceContext {
        if self.span.is_none() {
            written(&self.context)
        } else {
            of(&self.span)
        }
    }

    /// Does the work in this scope.
    pub fn enter<F: Future>(&self, work: F) -> WithContext<Instrumented<F>> {
        work.instrument(self.span.clone())
            .with_context(self.context.clone())
    }

    /// Calls the function in this scope.
    pub fn in_scope<T>(&self, call: impl FnOnce() -> T) -> T {
        let _context = self.context.clone().attach();
        self.span.in_scope(call)
    }
}

/// The context of the current scope, to be carried by a message. Empty outside of any.
pub fn current() -> TraceContext {
    Context::map_current(written)
}

/// The context of that span, to be carried by a message.
pub fn of(span: &Span) -> TraceContext {
    written(&span.context())
}

fn written(context: &Context) -> TraceContext {
    let span = context.span();
    let context = span.span_context();
    if context.is_valid() {
        write(context)
    } else {
        TraceContext::default()
    }
}

/// The context that somebody sent under the headers' names, whatever carries them: HTTP, gRPC or AMQP. `header` gives
/// the value of the header of that name. Empty where it is malformed.
pub fn extract<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> TraceContext {
    caller(header).map(|context| write(&context)).unwrap_or_default()
}

/// As [`extract`], for a [`Scope::remote`]; none where it is malformed.
pub fn caller<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<SpanContext> {
    parse(header(TRACEPARENT)?, header(TRACESTATE).unwrap_or_default())
}

/// The context that came in a message or a row, as this process passes it on: empty where it is malformed, and bounded.
pub fn bounded(context: &TraceContext) -> TraceContext {
    parsed(context).map(|context| write(&context)).unwrap_or_default()
}

/// Writes the context's headers, bounded, each with its name. An empty context has none.
pub fn inject(context: &TraceContext, write: impl FnMut(&'static str, String)) {
    inject_bounded(bounded(context), write);
}

/// As [`inject`], of what this process wrote itself.
pub(crate) fn inject_bounded(context: TraceContext, mut write: impl FnMut(&'static str, String)) {
    for (name, value) in [
        (TRACEPARENT, context.traceparent),
        (TRACESTATE, context.tracestate),
    ] {
        if !value.is_empty() {
            write(name, value);
        }
    }
}

/// The hexadecimal trace id of the current scope.
pub fn trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| context.trace_id().to_string())
    })
}

/// Whether the item's trace is recorded; a span of an item's own is needed only then.
pub fn is_sampled(context: &TraceContext) -> bool {
    parsed(context).is_some_and(|context| context.is_sampled())
}

/// Makes the span a child of that context. To be called before the span is entered; a context that is empty or
/// malformed changes nothing.
pub fn set_parent(span: &Span, parent: &TraceContext) {
    if let Some(parent) = parsed(parent) {
        set_remote_parent(span, parent);
    }
}

/// Links the span to that context. One that is empty or malformed changes nothing.
pub fn add_link(span: &Span, to: &TraceContext) {
    if let Some(to) = parsed(to) {
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
        .filter_map(parsed)
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
    let Some(item) = parsed(item) else { return };
    let batch = Context::map_current(|context| context.span().span_context().clone());
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

/// The two headers of version 00.
fn write(context: &SpanContext) -> TraceContext {
    TraceContext {
        traceparent: format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8()
        ),
        tracestate: fitting(&context.trace_state().header()).into_owned(),
    }
}

/// The context that came in a message, for a [`Scope::remote`]; none where it is empty or malformed.
pub fn parsed(context: &TraceContext) -> Option<SpanContext> {
    parse(&context.traceparent, &context.tracestate)
}

/// Reads the two headers, as <https://www.w3.org/TR/trace-context/> version 00 writes them. A `tracestate` that is
/// malformed is as good as none.
fn parse(traceparent: &str, tracestate: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
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
        TraceState::from_str(&fitting(tracestate)).unwrap_or_default(),
    );
    context.is_valid().then_some(context)
}

/// What of a `tracestate` is passed on: whole entries, the long ones going first and then the last ones, until the rest
/// fits. None of it where it has characters that no header has.
fn fitting(tracestate: &str) -> Cow<'_, str> {
    let printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    if tracestate.len() <= MAX_TRACESTATE {
        let kept = if tracestate.bytes().all(printable) {
            tracestate
        } else {
            ""
        };
        return Cow::Borrowed(kept);
    }
    let mut entries: Vec<&str> = tracestate
        .split(',')
        .map(|entry| entry.trim_matches([' ', '\t']))
        .filter(|entry| !entry.is_empty())
        .take(MAX_ENTRIES)
        .collect();
    // Each with its comma; the last one has none.
    while entries.iter().map(|entry| entry.len() + 1).sum::<usize>() > MAX_TRACESTATE + 1 {
        match entries.iter().rposition(|entry| entry.len() > LONG_ENTRY) {
            Some(long) => drop(entries.remove(long)),
            None => drop(entries.pop()),
        }
    }
    let kept = entries.join(",");
    if kept.bytes().all(printable) {
        Cow::Owned(kept)
    } else {
        Cow::Borrowed("")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const IDS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

    fn with_state(tracestate: impl Into<String>) -> TraceContext {
        TraceContext {
            traceparent: format!("{IDS}-01"),
            tracestate: tracestate.into(),
        }
    }

    fn context(traceparent: &str) -> TraceContext {
        TraceContext {
            traceparent: traceparent.to_owned(),
            tracestate: String::new(),
        }
    }

    #[test]
    fn sampling_is_read_from_the_flags() {
        assert!(is_sampled(&context(&format!("{IDS}-01"))));
        assert!(is_sampled(&context(&format!("{IDS}-03"))));
        assert!(!is_sampled(&context(&format!("{IDS}-00"))));
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
            assert!(parsed(&context(text)).is_none(), "{text}");
            assert_eq!(bounded(&context(text)), TraceContext::default(), "{text}");
        }
    }

    #[test]
    fn a_short_state_is_passed_on_as_it_came() {
        let context = with_state("vendor=\"quoted\",other@tenant=2");
        assert_eq!(bounded(&context), context);
    }

    #[test]
    fn of_a_long_state_the_long_entries_go_first_and_then_the_last_ones() {
        let (short, long) = ("s=1".to_owned(), format!("l={}", "x".repeat(127)));
        let many: Vec<_> = (0..16)
            .map(|number| format!("k{number:02}={}", "y".repeat(60)))
            .collect();
        let first = many[..7].join(",");
        let mixed = format!("{long},{short},{long},{first}");
        assert_eq!(bounded(&with_state(mixed)).tracestate, format!("{short},{first}"));
        assert_eq!(bounded(&with_state(many.join(","))).tracestate, first);
    }

    #[test]
    fn a_state_that_is_all_long_entries_is_dropped() {
        // What stopped the shop: 32 entries, 15,810 bytes.
        let entries: Vec<_> = (0..32)
            .map(|number| format!("k{number:02}={}", "x".repeat(489)))
            .collect();
        let context = bounded(&with_state(entries.join(",")));
        assert_eq!(context, with_state(""));
    }

    #[test]
    fn a_header_is_what_is_written_and_what_is_read() {
        let (mut names, context) = (Vec::new(), with_state("a=b"));
        inject(&context, |name, value| names.push((name, value)));
        let read = extract(|name| {
            names
                .iter()
                .find(|(written, _)| *written == name)
                .map(|(_, value)| value.as_str())
        });
        assert_eq!(read, context);
        assert_eq!(names.len(), 2);
        inject(&TraceContext::default(), |name, _| panic!("{name} of nothing"));
    }

    proptest! {
        // Long texts take long to make up.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whatever_comes_what_is_written_is_bounded_and_fits_a_header(
            traceparent in prop_oneof![Just(format!("{IDS}-01")), "[0-9a-f-]{0,80}", ".{0,80}"],
            tracestate in prop_oneof![
                prop::collection::vec("[a-z]{1,20}=[ -+.-<>-~]{0,150}", 0..12).prop_map(|entries| entries.join(",")),
                ".{0,700}",
            ],
        ) {
            inject(&TraceContext { traceparent, tracestate }, |name, value| {
                let most = if name == "traceparent" { 55 } else { MAX_TRACESTATE };
                assert!(!value.is_empty() && value.len() <= most, "{name}: {value}");
                http::HeaderValue::from_str(&value).unwrap();
            });
        }

        #[test]
        fn what_is_kept_is_whole_entries_in_their_order(
            values in prop::collection::vec("[a-z]{0,200}", 1..40),
        ) {
            let entries: Vec<_> = values
                .iter()
                .enumerate()
                .map(|(number, value)| format!("k{number}=v{value}"))
                .collect();
            let kept = bounded(&with_state(entries.join(","))).tracestate;
            let mut left = entries.iter();
            for entry in kept.split(',').filter(|entry| !entry.is_empty()) {
                prop_assert!(left.any(|known| known == entry), "{entry}");
            }
        }
    }
}
