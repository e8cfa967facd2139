//! What was written at one place, checked against what is expected there.

use std::{borrow::Cow, cell::RefCell, collections::HashSet, fmt, str::FromStr as _};

use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Findings, MOST_VIOLATIONS, Path, Refused, Source};
use crate::problem::FieldError;

#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) source: Source<'a>,
    pub(super) path: &'a Path<'a>,
    pub(super) violations: &'a RefCell<Findings>,
}

impl<'a> Value<'a> {
    /// The field's name as it is told.
    pub(super) fn field(&self) -> String {
        match self.path {
            Path::Root => "body".to_owned(),
            path => path.to_string(),
        }
    }

    pub(super) fn tell(&self, detail: impl Into<String>) {
        let mut violations = self.violations.borrow_mut();
        if violations.told.len() < MOST_VIOLATIONS {
            let (field, detail) = (self.field(), detail.into());
            violations.told.push(FieldError { field, detail });
        }
    }

    /// Notes that something else is expected than what is there.
    pub(super) fn expected(&self, what: &str) {
        match self.source {
            Source::Missing => self.tell("is missing"),
            Source::Refused => {}
            Source::Json(json) if json.get() == "null" => self.tell(format!("must be {what}, and not null")),
            Source::Json(_) | Source::Query(_) | Source::Parameter(_) => self.tell(format!("must be {what}")),
        }
    }

    /// Names the place of what a type has refused.
    pub(super) fn named(&self, Refused(error): Refused) -> Refused {
        Refused(error.map(|mut error| {
            if error.field.is_empty() {
                error.field = self.field();
            }
            error
        }))
    }

    /// The text that stands there.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        match self.source {
            Source::Parameter(text) => Some(Cow::Borrowed(text)),
            Source::Json(json) if json.get().starts_with('"') => {
                let Ok(Text(text)) = serde_json::from_str(json.get()) else {
                    self.tell("must be text of whole characters: half of a surrogate pair is none");
                    return Some(Cow::Borrowed(""));
                };
                Some(text)
            }
            _ => None,
        }
    }

    /// The whole number that stands there, within the bounds of its type.
    pub(super) fn whole_number<N: TryFrom<i128>>(&self, least: i128, most: i128) -> Option<N> {
        let text = match self.source {
            Source::Json(json)
                if json
                    .get()
                    .starts_with(|first: char| first == '-' || first.is_ascii_digit()) =>
            {
                json.get()
            }
            Source::Parameter(text) => text,
            _ => {
                self.expected("a whole number");
                return None;
            }
        };
        let number = whole_number(text, matches!(self.source, Source::Json(_)));
        match number {
            Err(NoNumber::NotWhole) => self.expected("a whole number"),
            Ok(number) if (least..=most).contains(&number) => return N::try_from(number).ok(),
            Ok(_) | Err(NoNumber::TooLarge) => {
                self.expected(&format!("a whole number from {least} to {most}"));
            }
        }
        None
    }

    /// The fields of the object that stands there; none, noted, where there is no object.
    pub(super) fn entries(&self) -> Vec<(Cow<'a, str>, Source<'a>)> {
        match self.source {
            Source::Query(pairs) => pairs
                .iter()
                .map(|(name, text)| (Cow::Borrowed(name.as_ref()), Source::Parameter(text)))
                .collect(),
            Source::Json(json) if json.get().starts_with('{') => {
                let Ok(Entries(entries)) = serde_json::from_str(json.get()) else {
                    self.tell("has a field whose name is not of whole characters");
                    return Vec::new();
                };
                entries
                    .into_iter()
                    .map(|(name, value)| (name.0, Source::Json(value)))
                    .collect()
            }
            _ => {
                self.expected("a JSON object");
                Vec::new()
            }
        }
    }

    /// The value of each field that is known, in the order of the type; what else is there is noted.
    pub(super) fn known(&self, fields: &'static [&'static str]) -> Vec<(&'static str, Source<'a>)> {
        let absent = match self.source {
            Source::Json(json) if !json.get().starts_with('{') => Source::Refused,
            Source::Missing | Source::Refused => Source::Refused,
            _ => Source::Missing,
        };
        let mut values: Vec<_> = fields.iter().map(|field| (*field, absent)).collect();
        let mut seen = HashSet::new();
        for (name, source) in self.entries() {
            let place = Path::Field(self.path, &name);
            let value = Value {
                source,
                path: &place,
                ..*self
            };
            let is_first = seen.insert(name.to_string());
            match values.iter_mut().find(|(field, _)| *field == name) {
                Some((_, known)) if is_first => *known = source,
                Some(_) => value.tell("is given more than once"),
                None if is_first => value.tell("is not known here"),
                None => {}
            }
        }
        values
    }
}

/// Why a text is no whole number.
enum NoNumber {
    NotWhole,
    /// Or too small.
    TooLarge,
}

/// As JSON Schema has it, a number without a fraction is whole.
fn whole_number(text: &str, is_json: bool) -> Result<i128, NoNumber> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| NoNumber::TooLarge);
    }
    if !is_json {
        return Err(NoNumber::NotWhole);
    }
    let number = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text));
    number
        .ok()
        .filter(Decimal::is_integer)
        .and_then(|number| number.to_i128())
        .ok_or(NoNumber::NotWhole)
}

/// A JSON text, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of a JSON object as they stand there, doubled ones too.
struct Entries<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// serde makes keys owned unless it is told otherwise.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(All)
    }
}
