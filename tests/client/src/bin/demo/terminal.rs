//! What a person sees: requests, answers and the tree of spans; coloured where a terminal shows it.

use std::{
    cell::Cell,
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use anyhow::Context as _;
use serde_json::Value;
use shop_client::{Call, Trace};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
/// One per service, in the order of their names.
const SERVICES: [(&str, &str); 6] = [
    ("api-gateway", "35"),
    ("consumer-service", "33"),
    ("inventory-service", "32"),
    ("order-service", "34"),
    ("producer-service", "36"),
    ("user-service", "31"),
];
/// Enough of a token to tell two apart, too little to use one.
const TOKEN_SHOWN: usize = 12;

pub(crate) struct Terminal {
    coloured: bool,
    steps: Cell<usize>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let coloured =
            io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Self {
            coloured,
            steps: Cell::new(0),
        }
    }

    pub(crate) fn step(&self, title: &str) -> anyhow::Result<()> {
        self.steps.set(self.steps.get() + 1);
        print(&format!(
            "\n{}",
            self.paint(BOLD, &format!("━━ {}  {title}", self.steps.get()))
        ))
    }

    pub(crate) fn note(&self, text: &str) -> anyhow::Result<()> {
        print(&format!("\n{}", self.paint(GREEN, text)))
    }

    pub(crate) fn request(&self, command: &str) -> anyhow::Result<()> {
        let lines: Vec<String> = command.lines().map(|line| self.paint(CYAN, line)).collect();
        print(&format!("{} {}", self.paint(DIM, "$"), lines.join("\n")))
    }

    pub(crate) fn event(&self, status: &str) -> anyhow::Result<()> {
        print(&format!(
            "{} {}",
            self.paint(DIM, "event: status"),
            self.paint(BOLD, status)
        ))
    }

    /// Shows the request, makes it, shows the answer, and returns it if its status is that one.
    pub(crate) async fn exchange(
        &self,
        call: Call,
        token_variable: &str,
        status: u16,
    ) -> anyhow::Result<Value> {
        self.request(&call.curl(token_variable))?;
        self.answer_to(call, status).await
    }

    /// As [`exchange`](Self::exchange), showing a command that keeps the token in the shell's variable. A password
    /// that is nobody's business is shown as `$ADMIN_PASSWORD`.
    pub(crate) async fn log_in(
        &self,
        call: Call,
        variable: &str,
        secret: Option<&str>,
    ) -> anyhow::Result<Value> {
        let mut command = call.curl("");
        if let Some(secret) = secret {
            command = command.replace(secret, r#"'"$ADMIN_PASSWORD"'"#);
        }
        self.request(&format!("{variable}=$({command} | jq -r .token)"))?;
        self.answer_to(call, 200).await
    }

    async fn answer_to(&self, call: Call, status: u16) -> anyhow::Result<Value> {
        let began = Instant::now();
        let answer = call.await?;
        let took = format!("{:.1} ms", began.elapsed().as_secs_f64() * 1_000.0);
        let colour = if answer.status().is_success() { GREEN } else { RED };
        print(&format!(
            "{}  {}",
            self.paint(colour, &answer.status().to_string()),
            self.paint(DIM, &took)
        ))?;
        let mut shown: Value = serde_json::from_str(answer.text()).unwrap_or_else(|_| answer.text().into());
        shorten_tokens(&mut shown);
        print(&self.json(&shown)?)?;
        answer.is(status)
    }

    fn json(&self, value: &Value) -> anyhow::Result<String> {
        let text = serde_json::to_string_pretty(value)?;
        let lines = text.lines().map(|line| match line.split_once("\": ") {
            Some((key, value)) => format!("{} {value}", self.paint(DIM, &format!("{key}\":"))),
            None => line.to_owned(),
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Draws the spans as a tree: name, service, kind, begin and length.
    pub(crate) fn trace(&self, trace_id: &str, trace: &Trace) -> anyhow::Result<()> {
        print(&self.paint(DIM, &format!("trace {trace_id}, {} spans", trace.spans().len())))?;
        let begin = trace.spans().first().context("the trace is empty")?.time.0;
        let rows = trace.tree();
        let width = rows
            .iter()
            .map(|(guides, span)| guides.chars().count() + span.name.chars().count())
            .max();
        for (guides, span) in rows {
            let used = guides.chars().count() + span.name.chars().count();
            let padding = " ".repeat(width.unwrap_or(used) - used);
            let colour = SERVICES
                .iter()
                .find(|(name, _)| *name == span.service)
                .map_or(YELLOW, |(_, colour)| colour);
            let name = if span.is_error {
                self.paint(RED, &span.name)
            } else {
                span.name.clone()
            };
            let service = self.paint(colour, &format!("{:17}", span.service));
            let offset = milliseconds(span.time.0.saturating_sub(begin));
            let times = format!(
                "{:>10} {:>10}",
                format!("+{offset:.1}"),
                format!("{:.1} ms", span.milliseconds())
            );
            let kind = span.kind.name();
            print(&format!(
                "{}{name}{padding}  {service}  {kind:8}{times}",
                self.paint(DIM, &guides)
            ))?;
        }
        Ok(())
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("nobody reads the output")
}

fn milliseconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64() * 1_000.0
}

/// Tokens open accounts: a screen is no place for them.
fn shorten_tokens(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name.ends_with("token") => {
                        *text = text.chars().take(TOKEN_SHOWN).chain(['…']).collect();
                    }
                    member => shorten_tokens(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_tokens),
        _ => {}
    }
}
