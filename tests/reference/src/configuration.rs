//! Every setting: what the programs' own command lines take, with secrets, which have no flag, and what telemetry reads by
//! itself.

use std::{any::TypeId, collections::BTreeSet, net::SocketAddr, num::NonZero, path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::Arg;

use crate::{
    markdown::{self, add, cell, code},
    programs::{self, SHARED, programs},
    sources::{self, Call},
};

/// The variables of OpenTelemetry that the programs or their SDK read, and what they do here. It has many more.
const OPENTELEMETRY: [(&str, &str, &str); 6] = [
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Where traces, metrics and logs go, over gRPC, such as `http://localhost:4317`. Nowhere by default; metrics can be read at `ADMIN_ADDR` all the same",
    ),
    ("OTEL_SDK_DISABLED", "false", "`true`: nothing is sent"),
    (
        "OTEL_SERVICE_NAME",
        "",
        "`service.name` of what is sent. By default the program's name",
    ),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "",
        "What else all of it carries, as `key=value,key=value`",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        "parentbased_always_on",
        "Which traces are recorded, such as `parentbased_traceidratio`",
    ),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        "",
        "The sampler's argument, a share from 0 to 1",
    ),
];

/// One setting of some programs.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub variable: String,
    /// The programs that take it, with this default and in this sense.
    pub of: Vec<&'static str>,
    /// What kind of value it is, in which unit.
    pub value: String,
    /// The value that holds where nobody says one.
    pub default: String,
    /// What it does.
    pub meaning: String,
}

/// Every setting that a command line takes.
pub fn settings() -> anyhow::Result<Vec<Setting>> {
    let secrets = secrets()?;
    let mut settings: Vec<Setting> = Vec::new();
    for program in programs() {
        for argument in program.serving.get_arguments() {
            let Some(setting) = setting(program.name, argument, &secrets) else {
                continue;
            };
            let same = settings.iter_mut().find(|other| {
                (&other.variable, &other.default, &other.meaning)
                    == (&setting.variable, &setting.default, &setting.meaning)
            });
            match same {
                Some(same) => same.of.push(program.name),
                None => settings.push(setting),
            }
        }
    }
    for secret in &secrets {
        let with_file = format!("{secret}_FILE");
        ensure!(
            settings.iter().any(|setting| setting.variable == with_file),
            "the secret {secret} has no {with_file}"
        );
    }
    Ok(settings)
}

fn setting(program: &'static str, argument: &Arg, secrets: &BTreeSet<String>) -> Option<Setting> {
    let variable = argument.get_env()?.to_str()?.to_owned();
    let help = argument.get_long_help().or(argument.get_help());
    let mut meaning = help.map(ToString::to_string).unwrap_or_default();
    if let Some(secret) = variable
        .strip_suffix("_FILE")
        .filter(|secret| secrets.contains(*secret))
        && !meaning.contains("The variable")
    {
        meaning = format!(
            "{}. The variable {secret} works too, and has no flag",
            meaning.trim_end_matches('.')
        );
    }
    let defaults = argument.get_default_values().iter();
    let shown = !argument.is_hide_default_value_set();
    let default = defaults
        .filter(|_| shown)
        .map(|value| value.to_string_lossy())
        .collect::<Vec<_>>();
    // Where clap can't know the default, the comment has it.
    let (meaning, told) = match meaning.split_once("[default: ") {
        Some((before, after)) => (before.trim().to_owned(), after.trim_end_matches(']').to_owned()),
        None => (meaning, String::new()),
    };
    Some(Setting {
        value: value(argument),
        default: if default.is_empty() {
            told
        } else {
            code(&default.join(","))
        },
        variable,
        of: vec![program],
        meaning: cell(meaning.trim_end_matches('.')),
    })
}

fn value(argument: &Arg) -> String {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        return possible
            .iter()
            .map(|value| code(value.get_name()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let type_id = argument.get_value_parser().type_id();
    let is = |types: &[TypeId]| types.iter().any(|&other| type_id == other);
    let kind = if is(&[TypeId::of::<Duration>()]) {
        "duration"
    } else if is(&[TypeId::of::<PathBuf>()]) {
        "file"
    } else if is(&[TypeId::of::<SocketAddr>()]) {
        "address:port"
    } else if is(&[TypeId::of::<chassis::config::GrpcUrl>()]) {
        "URL"
    } else if is(&[
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<i64>(),
        TypeId::of::<usize>(),
        TypeId::of::<NonZero<u16>>(),
    ]) {
        "number"
    } else {
        "text"
    };
    kind.to_owned()
}

/// What is read from the environment as a secret.
pub fn secrets() -> anyhow::Result<BTreeSet<String>> {
    Ok(calls()?
        .iter()
        .filter(|call| reads_a_secret(call))
        .filter_map(|call| call.text.clone())
        .collect())
}

fn reads_a_secret(call: &Call) -> bool {
    call.name == "secret_from_env"
}

/// Every variable that any program reads past its command line.
pub fn read_from_the_environment() -> anyhow::Result<BTreeSet<String>> {
    let reads = |call: &Call| {
        reads_a_secret(call) || call.path.ends_with("env::var") || call.path.ends_with("env::var_os")
    };
    let (mut found, mut unnamed) = (BTreeSet::new(), 0);
    for call in calls()?.into_iter().filter(reads) {
        unnamed += usize::from(call.text.is_none());
        found.extend(call.text);
    }
    // `secret_from_env` itself, of which every call has a name.
    ensure!(
        unnamed == 1,
        "{unnamed} variables are read whose name does not stand in the call: they can't be listed"
    );
    Ok(found)
}

/// Every call of a function in any source.
fn calls() -> anyhow::Result<Vec<Call>> {
    let mut calls = Vec::new();
    for folder in folders() {
        for source in sources::below(folder)? {
            calls.extend(sources::functions(&source));
        }
    }
    Ok(calls)
}

fn folders() -> impl Iterator<Item = &'static str> {
    SHARED
        .into_iter()
        .chain(programs::programs().into_iter().map(|program| program.sources))
}

/// The page.
pub fn page() -> anyhow::Result<String> {
    let settings = settings()?;
    let mut page = markdown::beginning(
        "Configuration",
        "the programs' command lines",
        "Each setting is an environment variable, and a flag of the same name: `LISTEN_ADDR=…` and `--listen-addr …` mean the\n\
         same, and `--help` of each program lists its own. Secrets have no flag, since a command line can be read by every user\n\
         of the machine: they are a variable or, better, a file that a variable ending in `_FILE` names.\n\n\
         A *duration* is a number with its unit, as `500ms`, `10s`, `15m`, `25h`, `90d`. A *URL* of a service is `http://host:port`, or\n\
         `https://host:port` for mutual TLS; calls go round all addresses of the name. An empty default is none.\n\n\
         In a cluster the operator sets what has to fit; `spec.services.*.env` and `spec.gateway.env` of a\n\
         [Shop](shop-resource.md) set the others.",
    );
    let mut groups: Vec<&[&str]> = Vec::new();
    for setting in &settings {
        if !groups.contains(&setting.of.as_slice()) {
            groups.push(&setting.of);
        }
    }
    groups.sort_by_key(|of| std::cmp::Reverse(of.len()));
    for of in groups {
        let title = if of.len() == programs().len() {
            "All programs".to_owned()
        } else {
            of.join(", ")
        };
        add(&mut page, format_args!("\n## {title}\n\n"));
        let rows = settings.iter().filter(|setting| setting.of == of).map(|setting| {
            vec![
                code(&setting.variable),
                setting.value.clone(),
                setting.default.clone(),
                setting.meaning.clone(),
            ]
        });
        markdown::table(
            &mut page,
            &["variable", "value", "default", "meaning"],
            &rows.collect::<Vec<_>>(),
        );
    }
    page.push_str(
        "\n## Where each answers\n\nAt 127.0.0.1, unless `LISTEN_ADDR` and `ADMIN_ADDR` say otherwise:\n\n",
    );
    let rows = programs().into_iter().filter_map(|program| {
        let addrs = program.addrs?;
        let listen = if addrs.listen == 0 {
            String::new()
        } else {
            addrs.listen.to_string()
        };
        Some(vec![program.name.to_owned(), listen, addrs.admin.to_string()])
    });
    markdown::table(
        &mut page,
        &["program", "calls", "health, readiness, metrics"],
        &rows.collect::<Vec<_>>(),
    );
    page.push_str(
        "\n## Telemetry\n\nAll programs follow the standard variables of\n\
         [OpenTelemetry](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), of which these matter most:\n\n",
    );
    let rows =
        OPENTELEMETRY.map(|(name, default, meaning)| vec![code(name), code(default), meaning.to_owned()]);
    markdown::table(&mut page, &["variable", "default", "meaning"], &rows);
    Ok(page)
}
