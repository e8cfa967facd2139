//! Every metric: what the sources build instruments of. A name and a description stand where the instrument is built, so
//! that neither can be forgotten here.

use anyhow::{Context as _, bail, ensure};

use crate::{
    markdown::{self, cell, code},
    programs::{SHARED, programs},
    sources::{self, Call},
};

/// The methods of a meter, with what kind of instrument each builds.
const KINDS: [(&str, &str); 12] = [
    ("u64_counter", "counter"),
    ("f64_counter", "counter"),
    ("u64_observable_counter", "counter"),
    ("i64_up_down_counter", "gauge"),
    ("i64_observable_up_down_counter", "gauge"),
    ("u64_gauge", "gauge"),
    ("i64_gauge", "gauge"),
    ("f64_gauge", "gauge"),
    ("u64_observable_gauge", "gauge"),
    ("i64_observable_gauge", "gauge"),
    ("u64_histogram", "histogram"),
    ("f64_histogram", "histogram"),
];

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// As OpenTelemetry has it.
    pub name: String,
    /// As Prometheus has it, but for what that adds to a histogram.
    pub series: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The programs that have it.
    pub of: String,
    /// What it counts.
    pub meaning: String,
}

/// Every metric, by the place where it is built.
pub fn metrics() -> anyhow::Result<Vec<Metric>> {
    let mut metrics = Vec::new();
    let folders = programs()
        .into_iter()
        .map(|program| program.sources)
        .chain(SHARED);
    for folder in folders {
        for source in sources::below(folder)? {
            for chain in sources::chains(&source) {
                metrics.extend(metric(&source.path, &chain).with_context(|| source.path.clone())?);
            }
        }
    }
    metrics.sort_by(|one, other| one.series.cmp(&other.series));
    Ok(metrics)
}

/// The metric that a chain of methods builds, if it builds one.
fn metric(path: &str, chain: &[Call]) -> anyhow::Result<Option<Metric>> {
    let built = chain.iter().find_map(|call| {
        let kind = KINDS.iter().find(|(method, _)| *method == call.name)?;
        Some((call, kind.1))
    });
    let Some((call, kind)) = built else {
        return Ok(None);
    };
    let name = call
        .text
        .clone()
        .with_context(|| format!("{}: its name must stand in the call", call.name))?;
    let said = |method: &str| {
        chain
            .iter()
            .find(|call| call.name == method)
            .and_then(|call| call.text.clone())
    };
    let description = said("with_description").with_context(|| format!("{name} has no description"))?;
    let unit = said("with_unit").unwrap_or_default();
    ensure!(name.contains('.'), "{name} has no namespace");
    Ok(Some(Metric {
        series: series(&name, &unit, kind)?,
        of: of(path),
        kind,
        meaning: cell(description.trim_end_matches('.')),
        name,
    }))
}

/// What Prometheus makes of a name: no dots, the unit unless it is an annotation, `_total` for what only grows.
fn series(name: &str, unit: &str, kind: &str) -> anyhow::Result<String> {
    let unit = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        "" => "",
        annotation if annotation.starts_with('{') => "",
        other => bail!("{name}: how is the unit {other} written by Prometheus?"),
    };
    let total = if kind == "counter" { "_total" } else { "" };
    Ok(format!("{}{unit}{total}", name.replace('.', "_")))
}

/// Which programs have what is built there.
fn of(path: &str) -> String {
    if let Some(program) = programs()
        .iter()
        .find(|program| path.starts_with(program.sources))
    {
        return program.name.to_owned();
    }
    let keeps_data = path.starts_with("services/outbox") || path.starts_with("services/chassis/src/postgres");
    if keeps_data {
        let has_database = |program: &crate::programs::Program| {
            program
                .serving
                .get_arguments()
                .any(|argument| argument.get_env().is_some_and(|name| name == "DATABASE_URL_FILE"))
        };
        let with_database = programs()
            .into_iter()
            .filter(has_database)
            .map(|program| program.name);
        return with_database.collect::<Vec<_>>().join(", ");
    }
    "all services".to_owned()
}

/// The page.
pub fn page() -> anyhow::Result<String> {
    let metrics = metrics()?;
    let mut page = markdown::beginning(
        "Metrics",
        "the instruments in the sources",
        "Each program answers `/metrics` at its `ADMIN_ADDR`, for Prometheus, and sends the same over OTLP where\n\
         `OTEL_EXPORTER_OTLP_ENDPOINT` says. Names are those of OpenTelemetry's semantic conventions where there are some; what is\n\
         the shop's own begins with `shop`. Prometheus has dots as underscores, and adds units and `_total`. Labels have few\n\
         values by construction. Dashboards and alerts that use them are in\n\
         [deploy/observability](../../deploy/observability/README.md).\n",
    );
    let rows = metrics.into_iter().map(|metric| {
        vec![
            code(&metric.series),
            metric.kind.to_owned(),
            metric.of,
            metric.meaning,
            code(&metric.name),
        ]
    });
    markdown::table(
        &mut page,
        &["metric", "kind", "of", "what it is", "in OpenTelemetry"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(page)
}
