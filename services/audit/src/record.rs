//! What is recorded of a change.

use proto::limits::{AUDITED_FIELDS, AUDITED_TEXT};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Stands for the rest of a text.
const ELLIPSIS: char = '…';

/// One thing that was done. Who did it, when, and in which trace, [`append`](crate::append) adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(crate) action: &'static str,
    pub(crate) subject: Subject,
    pub(crate) reason: Option<String>,
    pub(crate) changes: Changes,
}

/// What something was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An account, with its sessions.
    User(Uuid),
    /// A product, with its stock.
    Product(Uuid),
    /// An order.
    Order(Uuid),
}

impl Subject {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Product(_) => "product",
            Self::Order(_) => "order",
        }
    }

    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::User(id) | Self::Product(id) | Self::Order(id) => id,
        }
    }
}

impl Record {
    /// `action` is what and done: `product.updated`, at most 64 of `a-z`, `_` and `.`.
    pub fn new(action: &'static str, subject: Subject, changes: Changes) -> Self {
        Self {
            action,
            subject,
            reason: None,
            changes,
        }
    }

    /// With why it was done, in the words of who did it: as long as the service has let it be.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// Which fields a change changed: what each was, and what it became. **Never a password, a token or a key**: nothing is
/// recorded that is not named here by its field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(Map<String, Value>);

impl Changes {
    /// None, for what is done rather than changed.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a field, where it is another than before; null stands for none. Of a text [`AUDITED_TEXT`] characters are kept,
    /// and at most [`AUDITED_FIELDS`] fields.
    #[must_use]
    pub fn with(mut self, field: &'static str, old: impl Into<Value>, new: impl Into<Value>) -> Self {
        let (old, new) = (old.into(), new.into());
        if old != new && self.0.len() < AUDITED_FIELDS {
            let change = json!({ "old": kept(old), "new": kept(new) });
            self.0.insert(field.to_owned(), change);
        }
        self
    }

    /// Whether no field is another than before.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

fn kept(value: Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > AUDITED_TEXT => {
            let beginning = text.chars().take(AUDITED_TEXT - 1);
            Value::String(beginning.chain([ELLIPSIS]).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_is_as_before_is_no_change() {
        let changes = Changes::none()
            .with("name", "Cup", "Mug")
            .with("stock", 1, 1)
            .with("category", Value::Null, "cups")
            .with("disabled", false, true);
        assert_eq!(
            changes.to_json(),
            json!({
                "name": { "old": "Cup", "new": "Mug" },
                "category": { "old": null, "new": "cups" },
                "disabled": { "old": false, "new": true },
            })
        );
        assert!(Changes::none().with("name", "Cup", "Cup").is_empty());
    }

    #[test]
    fn a_record_is_as_large_as_its_contract_says() {
        const FIELDS: [&str; 20] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
            "t",
        ];
        // What JSON escapes takes the most.
        let longest = "\u{1}".repeat(10_000);
        let mut changes = Changes::none();
        for field in FIELDS {
            changes = changes.with(field, Value::Null, longest.as_str());
        }
        assert_eq!(changes.0.len(), AUDITED_FIELDS);
        let kept = changes.to_json()["a"]["new"].as_str().unwrap().to_owned();
        assert_eq!(kept.chars().count(), AUDITED_TEXT);
        assert!(kept.ends_with(ELLIPSIS));
        assert!(changes.to_json().to_string().len() < proto::limits::AUDIT_RECORD);
        // A change behind what is kept is one all the same.
        let other = format!("{longest}!");
        assert!(!Changes::none().with("description", longest, other).is_empty());
    }
}
