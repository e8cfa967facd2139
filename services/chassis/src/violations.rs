//! What is wrong with a request, collected while it is read, so that its sender can mend all of it at once. Handlers and
//! rules share this one collector; `grpc::status` makes a refusal of it (`tonic::Status::from`).

use std::ops::RangeInclusive;

use crate::text::{self, Lines};

/// One field, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A path: `lines[2].quantity`.
    pub field: String,
    /// What is expected: `must be from 1 to 10000`.
    pub expected: String,
}

/// Everything that is wrong with a request, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is expected of a field. `field` is a path such as `lines[2].quantity`.
    pub fn add(&mut self, field: impl Into<String>, expected: impl Into<String>) {
        self.0.push(Violation {
            field: field.into(),
            expected: expected.into(),
        });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing if nothing is wrong; otherwise all that is.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// What is wrong, in the order in which it was found.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }

    /// What was read, or nothing and a note of what is expected of the field.
    pub fn take<T>(&mut self, field: &str, read: Result<T, impl Into<String>>) -> Option<T> {
        read.map_err(|expected| self.add(field, expected)).ok()
    }

    /// A line of text that people read, of so many characters; see [`text::read`]. What is refused comes back as it was.
    pub fn line(&mut self, field: &str, text: &str, characters: RangeInclusive<usize>) -> String {
        self.text(field, text, characters, Lines::One)
    }

    /// Text that people read and that may have line breaks, of so many characters; see [`text::read`].
    pub fn lines(&mut self, field: &str, text: &str, characters: RangeInclusive<usize>) -> String {
        self.text(field, text, characters, Lines::Many)
    }

    fn text(&mut self, field: &str, text: &str, characters: RangeInclusive<usize>, lines: Lines) -> String {
        self.take(field, text::read(text, characters, lines))
            .unwrap_or_else(|| text.to_owned())
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
