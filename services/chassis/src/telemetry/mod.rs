//! Traces, metrics and logs, by OpenTelemetry's names.
//!
//! Traces, metrics and logs go out over OTLP (gRPC) when `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the other standard
//! `OTEL_*` variables hold too. Metrics can always be scraped at the admin address, and every log line within a
//! request carries its trace id, exported or not.
//!
//! Span and attribute names follow the OpenTelemetry semantic conventions, version [`SEMANTIC_CONVENTIONS`].

mod format;
pub mod trace;

use std::sync::OnceLock;

use opentelemetry::{KeyValue, global, metrics::Meter, trace::TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    metrics::{Instrument, SdkMeterProvider, Stream},
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use prometheus::{Encoder as _, Registry, TextEncoder};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::{LogFormat, ServiceArgs};

/// The version of the semantic conventions whose names are used: HTTP and database are stable there, RPC is a release
/// candidate, messaging is in development.
pub const SEMANTIC_CONVENTIONS: &str = "1.43.0";

const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.43.0";
const METER: &str = "shop";
/// Here lapin logs each message that the broker returns, body and all. The publisher says which ones were returned.
const RETURNED_MESSAGES: &str = "lapin::returned_messages";

/// Durations of calls in seconds: the boundaries that the conventions advise.
pub const DURATION_BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The most series of one instrument; the measurements of any further ones are added up in a single series, marked
/// `otel_metric_overflow`. Labels have few values by construction (routes and methods are looked up, never taken as they
/// come), so the busiest instrument has a few hundred. A label that breaks the rule costs this much of a scrape and no
/// more.
pub const MAX_SERIES: usize = 1_000;

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// Why telemetry can't start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not in the syntax of `EnvFilter`.
    #[error("RUST_LOG is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// An exporter can't be built, for example because of an endpoint that is no URL.
    #[error("telemetry export: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The metrics registry refused.
    #[error("metrics: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// Called twice in one process.
    #[error("logging: {0}")]
    AlreadyStarted(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry alive; [`Telemetry::shutdown`] sends what is still buffered.
#[derive(Debug)]
pub struct Telemetry {
    tracer: SdkTracerProvider,
    meter: SdkMeterProvider,
    logger: Option<SdkLoggerProvider>,
}

/// Starts telemetry for this process. Must be called within a tokio runtime, which the exporters use.
pub fn init(service: &'static str, args: &ServiceArgs) -> Result<Telemetry, TelemetryError> {
    let exporting = export_is_on();
    let resource = Resource::builder()
        .with_schema_url(
            [KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))],
            SCHEMA_URL,
        )
        .with_service_name(std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| service.to_owned()))
        .build();
    let telemetry = Telemetry {
        tracer: tracer_provider(exporting, &resource)?,
        meter: meter_provider(exporting, &resource)?,
        logger: exporting.then(|| logger_provider(&resource)).transpose()?,
    };
    trace::record(recording(exporting));
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_meter_provider(telemetry.meter.clone());

    // What the exporters' own connections say must not be exported: it would never end.
    let ours = Targets::new().with_default(LevelFilter::INFO).with_targets(
        [
            RETURNED_MESSAGES,
            "h2",
            "hyper",
            "hyper_util",
            "tonic",
            "tower",
            "opentelemetry",
            "opentelemetry_sdk",
            "opentelemetry-otlp",
        ]
        .map(|target| (target, LevelFilter::OFF)),
    );
    let lines = match args.log_format {
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .event_format(format::Pretty::default())
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .event_format(format::Json::new(service))
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(EnvFilter::builder().parse(format!("{},{RETURNED_MESSAGES}=off", args.log))?))
        .with(
            tracing_opentelemetry::layer()
                .with_tracer(telemetry.tracer.tracer(METER))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_filter(ours.clone()),
        )
        .with(
            telemetry
                .logger
                .as_ref()
                .map(|logger| OpenTelemetryTracingBridge::new(logger).with_filter(ours)),
        )
        .try_init()?;
    Ok(telemetry)
}

impl Telemetry {
    /// Sends what is still buffered. Blocks for a few seconds at most: call it off the async threads.
    pub fn shutdown(self) {
        // Nobody is left to tell but standard error.
        if let Err(error) = self.tracer.shutdown() {
            eprintln!("traces may be incomplete: {error}");
        }
        if let Some(Err(error)) = self.logger.map(|logger| logger.shutdown()) {
            eprintln!("exported logs may be incomplete: {error}");
        }
        if let Err(error) = self.meter.shutdown() {
            eprintln!("metrics may be incomplete: {error}");
        }
    }
}

/// Where instruments are made. Make each once and keep it.
pub fn meter() -> Meter {
    global::meter(METER)
}

/// Every metric in Prometheus' text format.
pub fn scrape() -> Result<Vec<u8>, prometheus::Error> {
    let mut text = Vec::new();
    if let Some(registry) = REGISTRY.get() {
        TextEncoder::new().encode(&registry.gather(), &mut text)?;
    }
    Ok(text)
}

fn export_is_on() -> bool {
    let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").is_ok_and(|value| !value.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    endpoint && !disabled
}

/// What of the traces is recorded, by the standard variables.
fn recording(exporting: bool) -> trace::Recording {
    if !exporting {
        return trace::Recording::Nothing;
    }
    match std::env::var("OTEL_TRACES_SAMPLER") {
        Ok(sampler) if !sampler.starts_with("parentbased_") => trace::Recording::AsTheSamplerSays,
        _ => trace::Recording::Sampled,
    }
}

fn tracer_provider(exporting: bool, resource: &Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(resource.clone());
    Ok(if exporting {
        builder
            .with_batch_exporter(opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?)
            .build()
    } else {
        // Trace ids still exist, for log lines and error answers: see trace::Scope.
        builder.with_sampler(Sampler::AlwaysOff).build()
    })
}

fn meter_provider(exporting: bool, resource: &Resource) -> Result<SdkMeterProvider, TelemetryError> {
    let registry = REGISTRY.get_or_init(Registry::new);
    let scraped = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .build()?;
    let builder = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_view(bounded_series)
        .with_reader(scraped);
    Ok(if exporting {
        builder
            .with_periodic_exporter(
                opentelemetry_otlp::MetricExporter::builder()
                    .with_tonic()
                    .build()?,
            )
            .build()
    } else {
        builder.build()
    })
}

/// The view that every instrument has.
fn bounded_series(_: &Instrument) -> Option<Stream> {
    Stream::builder().with_cardinality_limit(MAX_SERIES).build().ok()
}

fn logger_provider(resource: &Resource) -> Result<SdkLoggerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::LogExporter::builder().with_tonic().build()?;
    Ok(SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(exporter)
        .build())
}
