//! A value as serde asks for it: each kind of question is answered by what is there, or by a stand-in.

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use super::{NULLABLE, Path, RAW, Refused, Source, value::Value};

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
            rest: self.known(fields).into_iter(),
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
    rest: std::vec::IntoIter<(&'static str, Source<'a>)>,
    next: Option<(&'static str, Source<'a>)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next = self.rest.next();
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
