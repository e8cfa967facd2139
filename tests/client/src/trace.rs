//! The spans of one trace, and questions to them.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::bail;

/// The kind of a span, as OpenTelemetry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "OpenTelemetry's own words")]
pub enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl Kind {
    /// In lower case, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// A finished span. Ids are in hexadecimal.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of the resource that it came from.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// The trace that it is part of.
    pub trace_id: String,
    /// Its own id.
    pub id: String,
    /// The span that caused it; none for a root.
    pub parent: Option<String>,
    /// Trace and span ids that it is linked to.
    pub links: Vec<(String, String)>,
    /// Attributes, each value as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether its status is an error.
    pub is_error: bool,
    /// Start and end in nanoseconds since 1970.
    pub time: (u64, u64),
}

impl Span {
    /// The attribute's value; empty where there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// How long it took, in milliseconds.
    pub fn milliseconds(&self) -> f64 {
        Duration::from_nanos(self.time.1.saturating_sub(self.time.0)).as_secs_f64() * 1_000.0
    }
}

/// The spans of one trace, by start.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    spans: Vec<Span>,
}

impl Trace {
    pub(crate) fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.time);
        Self { spans }
    }

    /// All of its spans.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The one span of that service, kind and name, among those that `pick` takes.
    pub fn one_where(
        &self,
        service: &str,
        kind: Kind,
        name: &str,
        pick: impl Fn(&Span) -> bool,
    ) -> anyhow::Result<&Span> {
        let is_it =
            |span: &&Span| span.service == service && span.kind == kind && span.name == name && pick(span);
        let found: Vec<&Span> = self.spans.iter().filter(is_it).collect();
        match found[..] {
            [span] => Ok(span),
            _ => bail!(
                "{} spans are {service} {} {name}, in:\n{self}",
                found.len(),
                kind.name()
            ),
        }
    }

    /// The one span of that service, kind and name.
    pub fn one(&self, service: &str, kind: Kind, name: &str) -> anyhow::Result<&Span> {
        self.one_where(service, kind, name, |_| true)
    }

    /// The span's parent, where it is part of what was collected.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        let id = span.parent.as_deref()?;
        self.spans.iter().find(|parent| parent.id == id)
    }

    /// Whether following the parents of `span` leads to `ancestor`.
    pub fn descends(&self, span: &Span, ancestor: &Span) -> bool {
        std::iter::successors(self.parent(span), |span| self.parent(span)).any(|span| span.id == ancestor.id)
    }

    /// The spans depth first, each with the guides that draw the tree before it.
    pub fn tree(&self) -> Vec<(String, &Span)> {
        let mut rows = Vec::new();
        let roots: Vec<&Span> = self
            .spans
            .iter()
            .filter(|span| self.parent(span).is_none())
            .collect();
        for root in roots {
            rows.push((String::new(), root));
            self.grow(root, "", &mut rows);
        }
        rows
    }

    fn grow<'a>(&'a self, parent: &Span, guides: &str, rows: &mut Vec<(String, &'a Span)>) {
        let children: Vec<&Span> = self
            .spans
            .iter()
            .filter(|span| span.parent.as_deref() == Some(&parent.id))
            .collect();
        for (place, child) in children.iter().enumerate() {
            let (branch, trunk) = if place + 1 == children.len() {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            rows.push((format!("{guides}{branch}"), child));
            self.grow(child, &format!("{guides}{trunk}"), rows);
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (guides, span) in self.tree() {
            writeln!(f, "{guides}{} {} {}", span.service, span.kind.name(), span.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn span(name: &str, id: &str, parent: Option<&str>, start: u64) -> Span {
        Span {
            service: "shop".to_owned(),
            name: name.to_owned(),
            kind: Kind::Internal,
            trace_id: "t".to_owned(),
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            links: Vec::new(),
            attributes: BTreeMap::new(),
            is_error: false,
            time: (start, start + 1_500_000),
        }
    }

    #[test]
    fn spans_form_a_tree_in_the_order_of_their_start() {
        let trace = Trace::new(vec![
            span("later", "4", Some("1"), 9),
            span("leaf", "3", Some("2"), 3),
            span("root", "1", None, 1),
            span("first", "2", Some("1"), 2),
            span("orphan", "5", Some("gone"), 10),
        ]);
        let drawn: Vec<String> = trace
            .tree()
            .iter()
            .map(|(guides, span)| format!("{guides}{}", span.name))
            .collect();
        assert_eq!(drawn, ["root", "├─ first", "│  └─ leaf", "└─ later", "orphan"]);

        let (root, leaf) = (
            trace.one("shop", Kind::Internal, "root"),
            trace.one("shop", Kind::Internal, "leaf"),
        );
        let (root, leaf) = (root.unwrap(), leaf.unwrap());
        assert!(trace.descends(leaf, root) && !trace.descends(root, leaf));
        assert!((leaf.milliseconds() - 1.5).abs() < f64::EPSILON);
        assert!(trace.one("shop", Kind::Server, "root").is_err());
    }
}
