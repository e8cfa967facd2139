//! JSON as the languages write it.

use serde_json::Value;

use super::variable;

/// Longer ones are broken.
const LINE: usize = 76;
const STEP: usize = 2;

/// What is different between languages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// Between the braces and what is in them, on one line.
    pub(super) pad: &'static str,
    pub(super) null: &'static str,
    pub(super) truth: [&'static str; 2],
    pub(super) key: fn(&str) -> String,
    pub(super) variable: fn(&str) -> String,
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Syntax {
    /// The value, on one line if it fits behind `indent` blanks; further lines are indented by more than that.
    pub(super) fn write(&self, value: &Value, indent: usize) -> String {
        let line = self.join(value, indent, false);
        if line.len() + indent <= LINE {
            line
        } else {
            self.join(value, indent, true)
        }
    }

    fn join(&self, value: &Value, indent: usize, broken: bool) -> String {
        let inner = |value: &Value| {
            if broken {
                self.write(value, indent + STEP)
            } else {
                self.join(value, 0, false)
            }
        };
        let (open, items, close): (_, Vec<String>, _) = match value {
            Value::Array(values) => ("[", values.iter().map(inner).collect(), "]"),
            Value::Object(fields) => {
                let items = fields
                    .iter()
                    .map(|(name, value)| format!("{}: {}", (self.key)(name), inner(value)));
                ("{", items.collect(), "}")
            }
            Value::Null => return self.null.to_owned(),
            Value::Bool(truth) => return self.truth[usize::from(*truth)].to_owned(),
            Value::Number(number) => return number.to_string(),
            Value::String(text) => return variable(value).map_or_else(|| quoted(text), self.variable),
        };
        if broken {
            let (outer, between) = (" ".repeat(indent), " ".repeat(indent + STEP));
            let lines = items.join(&format!(",\n{between}"));
            format!("{open}\n{between}{lines}\n{outer}{close}")
        } else {
            let pad = if open == "{" { self.pad } else { "" };
            format!("{open}{pad}{}{pad}{close}", items.join(", "))
        }
    }
}
