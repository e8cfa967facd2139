//! A receiver of OpenTelemetry's protocol (OTLP over gRPC) that keeps the newest spans in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{self as wire, span::SpanKind, status::StatusCode},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, transport::Server};

use crate::{Kind, Span, Trace};

/// More than any test makes; a receiver that nobody stops stays small.
const MOST_SPANS: usize = 50_000;
/// How long a span may take to arrive. Generous: it only bounds a test that fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Collects what services export to it, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    spans: Spans,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Listens at that address; port 0 is any.
    pub async fn listen(addr: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(addr)
            .await
            .with_context(|| format!("cannot listen on {addr}"))?;
        let addr = listener.local_addr()?;
        let spans = Spans::default();
        let router = Server::builder()
            .add_service(TraceServiceServer::new(spans.clone()))
            .add_service(MetricsServiceServer::new(Discard))
            .add_service(LogsServiceServer::new(Discard));
        let serving = async move {
            if let Err(error) = router.serve_with_incoming(TcpListenerStream::new(listener)).await {
                eprintln!("the OTLP receiver failed: {error}");
            }
        };
        Ok(Self {
            addr,
            spans,
            _server: AbortOnDropHandle::new(tokio::spawn(serving)),
        })
    }

    /// What a service takes as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What has arrived of a trace.
    pub fn trace(&self, trace_id: &str) -> Trace {
        let kept = self.spans.lock();
        Trace::new(
            kept.iter()
                .filter(|span| span.trace_id == trace_id)
                .cloned()
                .collect(),
        )
    }

    /// The id of the trace of the newest span that `pick` takes.
    pub fn newest_trace_id(&self, pick: impl Fn(&Span) -> bool) -> Option<String> {
        let kept = self.spans.lock();
        let newest = kept
            .iter()
            .filter(|span| pick(span))
            .max_by_key(|span| span.time)?;
        Some(newest.trace_id.clone())
    }

    /// Asks again at each arrival until there is an answer. An error says what was asked and what had arrived.
    pub async fn wait_for<T>(&self, what: &str, ask: impl Fn(&Self) -> Option<T>) -> anyhow::Result<T> {
        let mut arrivals = self.spans.arrivals.subscribe();
        let answer = async {
            loop {
                if let Some(answer) = ask(self) {
                    return answer;
                }
                if arrivals.changed().await.is_err() {
                    // Not reached while `self` holds the sender.
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(PATIENCE, answer)
            .await
            .with_context(|| format!("{what} has not arrived; what has:\n{}", self.summary()))
    }

    fn summary(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for span in self.spans.lock().iter() {
            *counts
                .entry(format!("{} {} {}", span.service, span.kind.name(), span.name))
                .or_default() += 1;
        }
        counts.iter().fold(String::new(), |mut text, (span, count)| {
            // Writing to a String does not fail.
            let _infallible = writeln!(text, "{count} × {span}");
            text
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Spans {
    kept: Arc<Mutex<VecDeque<Span>>>,
    arrivals: watch::Sender<()>,
}

impl Spans {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let arrived = request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|of_resource| {
                let attributes = of_resource
                    .resource
                    .map(|resource| attributes(resource.attributes))
                    .unwrap_or_default();
                let service = attributes.get("service.name").cloned().unwrap_or_default();
                let spans = of_resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|of_scope| of_scope.spans);
                spans.map(move |span| read(&service, span))
            });
        {
            let mut kept = self.lock();
            kept.extend(arrived);
            let surplus = kept.len().saturating_sub(MOST_SPANS);
            kept.drain(..surplus);
        }
        self.arrivals.send_replace(());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

struct Discard;

#[tonic::async_trait]
impl MetricsService for Discard {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Discard {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn read(service: &str, span: wire::Span) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
        SpanKind::Internal | SpanKind::Unspecified => Kind::Internal,
    };
    Span {
        service: service.to_owned(),
        kind,
        trace_id: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        links: span
            .links
            .iter()
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        is_error: span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == StatusCode::Error),
        time: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        name: span.name,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|KeyValue { key, value, .. }| (key, text(value.and_then(|value| value.value))))
        .collect()
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::BytesValue(bytes)) => hex(&bytes),
        Some(Value::ArrayValue(array)) => {
            let texts: Vec<String> = array
                .values
                .into_iter()
                .map(|AnyValue { value }| text(value))
                .collect();
            texts.join(",")
        }
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}
