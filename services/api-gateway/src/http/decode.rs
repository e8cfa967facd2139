//! Reading what callers wrote into the types of the API, with every violation told of at once, in the words of the API.
//!
//! serde stops at the first error. This deserializer does not: it knows what is expected from what a type asks for, so
//! it checks that itself, notes a [violation](Findings) and goes on with a stand-in; what it returns is thrown away
//! where anything was noted. One rule for every body and every query:
//!
//! - a field that is not known, is given twice, is missing or is of another type is named;
//! - `null` says that there is none. It is taken where the type is [`Nullable`], and named everywhere else;
//! - a whole number may be written as `2`, `2.0` or `2e0`, as JSON Schema has it;
//! - of what has the right type, the value is checked too ([`Checked`]), however much else is wrong.
//!
//! Types derive [`serde::Deserialize`], without aliases and flattened fields: their names decide what is known. Why this is code of our own: `docs/adr/0013-*`.

mod deserializer;
mod faults;
mod value;

use std::{borrow::Cow, cell::RefCell, collections::HashSet, fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::value::RawValue;
use url::form_urlencoded;

pub(super) use self::faults::{Checked, Faults};
use self::value::Value;
use crate::problem::FieldError;

/// So many violations are told of: an answer has an end, whatever was asked.
pub(super) const MOST_VIOLATIONS: usize = 100;
/// So much of a name that nobody knows is repeated, in characters.
const LONGEST_NAME: usize = 64;
/// How serde asks for a [`Nullable`].
const NULLABLE: &str = "$shop::Nullable";
/// How serde asks for the text of a value as it stands in JSON.
const RAW: &str = "$serde_json::private::RawValue";

/// What a change may also take away: left out it stays, `null` clears it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Nullable<T> {
    /// Nothing is said of it.
    #[default]
    LeftOut,
    /// There is to be none.
    Null,
    /// It is to be this.
    Value(T),
}

impl<T> Nullable<T> {
    /// Its value; none where it was left out or is null.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::LeftOut | Self::Null => None,
        }
    }

    /// Its value as it stands there; none where it was left out or is null.
    pub(super) fn as_deref(&self) -> Option<&T::Target>
    where
        T: Deref,
    {
        match self {
            Self::Value(value) => Some(value),
            Self::LeftOut | Self::Null => None,
        }
    }

    /// What to change it to, where there is none if it is cleared; nothing where it was left out.
    pub(super) fn change(self) -> Option<T>
    where
        T: Default,
    {
        match self {
            Self::Value(value) => Some(value),
            Self::Null => Some(T::default()),
            Self::LeftOut => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Kinds<T> {
            type Value = Nullable<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or null")
            }

            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Nullable::LeftOut)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Nullable::Null)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
                T::deserialize(value).map(Nullable::Value)
            }
        }

        deserializer.deserialize_newtype_struct(NULLABLE, Kinds(PhantomData))
    }
}

/// A body that is JSON, checked before: see [`super::body`].
pub(super) fn json<T: DeserializeOwned + Checked>(body: &RawValue) -> Result<T, Vec<FieldError>> {
    decode(Source::Json(body))
}

/// The parameters of a query.
pub(super) fn query<T: DeserializeOwned + Checked>(query: &str) -> Result<T, Vec<FieldError>> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    decode(Source::Query(&pairs))
}

/// That none of these parameters is known.
pub(super) fn no_parameters(query: &str) -> Result<(), Vec<FieldError>> {
    #[derive(Deserialize)]
    struct None {}
    impl Checked for None {}
    self::query(query).map(|None {}| ())
}

fn decode<T: DeserializeOwned + Checked>(source: Source<'_>) -> Result<T, Vec<FieldError>> {
    let mut refused: Vec<FieldError> = Vec::new();
    loop {
        let violations = RefCell::new(Findings {
            refused: refused.iter().map(|error| error.field.clone()).collect(),
            told: Vec::new(),
        });
        let path = Path::Root;
        let decoded = T::deserialize(Value {
            source,
            path: &path,
            violations: &violations,
        });
        let told = violations.into_inner().told;
        let value = match decoded {
            // A type of its own has refused its text, and ended the reading there: again, without it.
            Err(Refused(Some(error))) if refused.len() < MOST_VIOLATIONS && !refused.contains(&error) => {
                refused.push(error);
                continue;
            }
            decoded => decoded.ok(),
        };
        let is_read = refused.is_empty() && told.is_empty();
        refused.extend(told);
        let mut faults = Faults::new(refused);
        if let Some(value) = &value {
            value.check(&mut faults);
        }
        return match value {
            Some(value) if is_read && faults.is_empty() => Ok(value),
            _ => Err(faults.into_errors()),
        };
    }
}

/// What was found wrong so far.
struct Findings {
    /// What types have refused, known from the last reading.
    refused: HashSet<String>,
    told: Vec<FieldError>,
}

/// Where one is in what was written.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => write!(f, "{}", shortened(name)),
            Self::Field(parent, name) => write!(f, "{parent}.{}", shortened(name)),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// What was written at one place.
#[derive(Clone, Copy)]
enum Source<'a> {
    Missing,
    /// Told of already.
    Refused,
    Json(&'a RawValue),
    Query(&'a [(Cow<'a, str>, Cow<'a, str>)]),
    Parameter(&'a str),
}

/// The end of a reading, where a type's own rule says so: the field and why.
#[derive(Debug)]
struct Refused(Option<FieldError>);

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("", |error| &error.detail))
    }
}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let detail = if message.starts_with("must ") {
            // A type of ours.
            message
        } else if message.starts_with("UUID") {
            "must be a UUID".to_owned()
        } else {
            "is not of the form that the API describes".to_owned()
        };
        Self(Some(FieldError {
            field: String::new(),
            detail,
        }))
    }
}

#[cfg(test)]
mod tests;
