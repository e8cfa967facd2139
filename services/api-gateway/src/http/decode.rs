//! Reading what callers wrote into the types of the API, with every violation told of at once, in the words of the API.
//!
//! serde stops at the first error. This deserializer does not: it knows what is expected from what a type asks for, so
//! it checks that itself, notes a [violation](Violations) and goes on with a stand-in; what it returns is thrown away
//! where anything was noted. One rule for every body and every query:
//!
//! - a field that is not known, is given twice, is missing or is of another type is named;
//! - `null` says that there is none. It is taken where the type is [`Nullable`], and named everywhere else;
//! - a whole number may be written as `2`, `2.0` or `2e0`, as JSON Schema has it.
//!
//! Types derive [`serde::Deserialize`], without aliases and flattened fields: their names decide what is known.

use std::{borrow::Cow, cell::RefCell, collections::HashSet, fmt, marker::PhantomData, str::FromStr as _};

use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use url::form_urlencoded;

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
pub(super) fn json<T: DeserializeOwned>(body: &RawValue) -> Result<T, Vec<FieldError>> {
    decode(Source::Json(body))
}

/// The parameters of a query.
pub(super) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Vec<FieldError>> {
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    decode(Source::Query(&pairs))
}

/// That none of these parameters is known.
pub(super) fn no_parameters(query: &str) -> Result<(), Vec<FieldError>> {
    #[derive(Deserialize)]
    struct None {}
    self::query(query).map(|None {}| ())
}

fn decode<T: DeserializeOwned>(source: Source<'_>) -> Result<T, Vec<FieldError>> {
    let mut refused: Vec<FieldError> = Vec::new();
    loop {
        let violations = RefCell::new(Violations {
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
        match decoded {
            Ok(value) if told.is_empty() && refused.is_empty() => return Ok(value),
            // A type of its own has refused its text, and ended the reading there: again, without it.
            Err(Refused(Some(error))) if refused.len() < MOST_VIOLATIONS && !refused.contains(&error) => {
                refused.push(error);
            }
            _ => {
                refused.extend(told);
                refused.truncate(MOST_VIOLATIONS);
                return Err(refused);
            }
        }
    }
}

/// What was found wrong so far.
struct Violations {
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

#[derive(Clone, Copy)]
struct Value<'a> {
    source: Source<'a>,
    path: &'a Path<'a>,
    violations: &'a RefCell<Violations>,
}

impl<'a> Value<'a> {
    /// The field's name as it is told.
    fn field(&self) -> String {
        match self.path {
            Path::Root => "body".to_owned(),
            path => path.to_string(),
        }
    }

    fn tell(&self, detail: impl Into<String>) {
        let mut violations = self.violations.borrow_mut();
        if violations.told.len() < MOST_VIOLATIONS {
            let (field, detail) = (self.field(), detail.into());
            violations.told.push(FieldError { field, detail });
        }
    }

    /// Notes that something else is expected than what is there.
    fn expected(&self, what: &str) {
        match self.source {
            Source::Missing => self.tell("is missing"),
            Source::Refused => {}
            Source::Json(json) if json.get() == "null" => self.tell(format!("must be {what}, and not null")),
            Source::Json(_) | Source::Query(_) | Source::Parameter(_) => self.tell(format!("must be {what}")),
        }
    }

    /// Names the place of what a type has refused.
    fn named(&self, Refused(error): Refused) -> Refused {
        Refused(error.map(|mut error| {
            if error.field.is_empty() {
                error.field = self.field();
            }
            error
        }))
    }

    /// The text that stands there.
    fn text(&self) -> Option<Cow<'a, str>> {
        match self.source {
            Source::Parameter(text) => Some(Cow::Borrowed(text)),
            Source::Json(json) if json.get().starts_with('"') => match serde_json::from_str(json.get()) {
                Ok(Text(text)) => Some(text),
                Err(_) => {
                    self.tell("must be text of whole characters: half of a surrogate pair is none");
                    Some(Cow::Borrowed(""))
                }
            },
            _ => None,
        }
    }

    /// The whole number that stands there, within the bounds of its type.
    fn whole_number<N: TryFrom<i128>>(&self, least: i128, most: i128) -> Option<N> {
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
        match number.map(|number| number.filter(|number| (least..=most).contains(number))) {
            None => self.expected("a whole number"),
            Some(None) => self.expected(&format!("a whole number from {least} to {most}")),
            Some(Some(number)) => return N::try_from(number).ok(),
        }
        None
    }

    /// The fields of the object that stands there; none, noted, where there is no object.
    fn entries(&self) -> Vec<(Cow<'a, str>, Source<'a>)> {
        match self.source {
            Source::Query(pairs) => pairs
                .iter()
                .map(|(name, text)| (Cow::Borrowed(name.as_ref()), Source::Parameter(text)))
                .collect(),
            Source::Json(json) if json.get().starts_with('{') => match serde_json::from_str(json.get()) {
                Ok(Entries(entries)) => entries
                    .into_iter()
                    .map(|(name, value)| (name.0, Source::Json(value)))
                    .collect(),
                Err(_) => {
                    self.tell("has a field whose name is not of whole characters");
                    Vec::new()
                }
            },
            _ => {
                self.expected("a JSON object");
                Vec::new()
            }
        }
    }

    /// The value of each field that is known, in the order of the type; what else is there is noted.
    fn known(&self, fields: &'static [&'static str]) -> Vec<(&'static str, Source<'a>)> {
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

/// As JSON Schema has it, a number without a fraction is whole. None where there is no number, or no whole one; nothing
/// within where it is larger than any.
fn whole_number(text: &str, is_json: bool) -> Option<Option<i128>> {
    if text.parse::<i128>().is_ok() && (is_json || !text.starts_with('+')) {
        return Some(text.parse().ok());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(None);
    }
    if !is_json {
        return None;
    }
    let number = Decimal::from_str(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()?;
    number.is_integer().then(|| number.to_i128())
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

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            let number = self.whole_number(<$number>::MIN.into(), <$number>::MAX.into());
            visitor.$visit(number.unwrap_or_default())
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Refused;

    whole_numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let text = match self.source {
            Source::Json(json) => json.get(),
            Source::Parameter(text) => text,
            _ => "",
        };
        if text != "true" && text != "false" {
            self.expected("true or false");
        }
        visitor.visit_bool(text == "true")
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let text = self.text().unwrap_or_else(|| {
            self.expected("text");
            Cow::Borrowed("")
        });
        visitor.visit_str(&text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.source {
            Source::Missing | Source::Refused => visitor.visit_none(),
            Source::Json(json) if json.get() == "null" => {
                self.tell("must not be null; leave it out");
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match (name, self.source) {
            (NULLABLE, Source::Missing | Source::Refused) => visitor.visit_none(),
            (NULLABLE, Source::Json(json)) if json.get() == "null" => visitor.visit_unit(),
            (RAW, source) => {
                let text = if let Source::Json(json) = source {
                    json.get()
                } else {
                    self.expected("a JSON value");
                    "0"
                };
                serde_json::Deserializer::from_reader(text.as_bytes())
                    .deserialize_newtype_struct(RAW, visitor)
                    .map_err(de::Error::custom)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let items: Vec<&RawValue> = match self.source {
            Source::Json(json) if json.get().starts_with('[') => {
                serde_json::from_str(json.get()).unwrap_or_default()
            }
            _ => {
                self.expected("an array");
                Vec::new()
            }
        };
        visitor.visit_seq(Items {
            array: self,
            items: items.into_iter().enumerate(),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_map(Fields {
            object: self,
            fields: self.known(fields).into_iter(),
            next: None,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let text = self.text();
        let known = variants.iter().find(|variant| text.as_deref() == Some(**variant));
        if known.is_none() {
            self.expected(&format!("one of {}", variants.join(", ")));
        }
        let variant = known.or(variants.first()).copied().unwrap_or_default();
        visitor.visit_enum(<&str as de::IntoDeserializer<'_, Refused>>::into_deserializer(
            variant,
        ))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    /// For types that take anything; there are none in the API.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.expected("what the API describes");
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct map identifier
    }
}

/// The items of an array, each at its place.
struct Items<'a> {
    array: Value<'a>,
    items: std::iter::Enumerate<std::vec::IntoIter<&'a RawValue>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let Some((index, item)) = self.items.next() else {
            return Ok(None);
        };
        let path = Path::Item(self.array.path, index);
        let item = placed(self.array, Source::Json(item), &path);
        seed.deserialize(item)
            .map(Some)
            .map_err(|error| item.named(error))
    }
}

/// The fields of an object, each at its place.
struct Fields<'a> {
    object: Value<'a>,
    fields: std::vec::IntoIter<(&'static str, Source<'a>)>,
    next: Option<(&'static str, Source<'a>)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next = self.fields.next();
        let Some((name, _)) = self.next else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Refused> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        let (name, source) = self.next.take().ok_or(Refused(None))?;
        let path = Path::Field(self.object.path, name);
        let value = placed(self.object, source, &path);
        seed.deserialize(value).map_err(|error| value.named(error))
    }
}

/// A value within another, unless a type has refused it already.
fn placed<'a>(parent: Value<'a>, source: Source<'a>, path: &'a Path<'a>) -> Value<'a> {
    let violations = parent.violations.borrow();
    let is_refused = !violations.refused.is_empty() && violations.refused.contains(&path.to_string());
    Value {
        source: if is_refused { Source::Refused } else { source },
        path,
        violations: parent.violations,
    }
}

#[cfg(test)]
mod tests;
