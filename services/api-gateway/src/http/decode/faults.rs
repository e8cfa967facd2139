//! What values must be beyond their types, by the rules of the crate [`rules`], told together with what is wrong with the
//! types of others.

use chassis::violations::Violations;

use super::MOST_VIOLATIONS;
use crate::problem::{FieldError, public_field};

/// A type that is read from requests.
pub(in crate::http) trait Checked {
    /// Notes what is wrong with its values. Those of fields that could not be read are stand-ins, which nothing is noted of;
    /// a rule of several fields asks [`Faults::is_at_fault`] first.
    fn check(&self, _: &mut Faults) {}
}

/// All that is wrong with a request so far.
pub(in crate::http) struct Faults(Vec<FieldError>);

impl Faults {
    pub(super) fn new(told: Vec<FieldError>) -> Self {
        Self(told)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_errors(mut self) -> Vec<FieldError> {
        self.0.truncate(MOST_VIOLATIONS);
        self.0
    }

    /// Notes what a rule says of a field.
    pub(in crate::http) fn take<T>(&mut self, field: &str, read: Result<T, impl Into<String>>) {
        if let Err(expected) = read
            && self.0.len() < MOST_VIOLATIONS
            && !self.is_at_fault(field)
        {
            self.0.push(FieldError {
                field: field.to_owned(),
                detail: expected.into(),
            });
        }
    }

    /// Notes what a rule says of a text, where there is one.
    pub(in crate::http) fn text<T, E: Into<String>>(
        &mut self,
        field: &str,
        text: Option<&str>,
        rule: impl FnOnce(&str) -> Result<T, E>,
    ) {
        self.take(field, text.map(rule).transpose());
    }

    /// Notes what a rule says of several fields, under the names that they have in the API.
    pub(in crate::http) fn take_all(&mut self, violations: &Violations) {
        for violation in violations {
            self.take(
                &public_field(&violation.field),
                Err::<(), _>(&*violation.expected),
            );
        }
    }

    /// Whether something is wrong with that field already, or with what it is in.
    pub(in crate::http) fn is_at_fault(&self, field: &str) -> bool {
        self.0.iter().any(|told| {
            told.field == "body"
                || field
                    .strip_prefix(&*told.field)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}
