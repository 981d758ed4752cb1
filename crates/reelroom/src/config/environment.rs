//! The environment: which variables there are, and one of them as a setting.
//!
//! # Invariants
//!
//! - A variable that is set to nothing is one that is not set, as shells and compose files make them. Of a text that may be absent it says that
//!   there is none, whatever the file has.
//! - A list has its elements separated by commas; what stands around them does not count.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::Deserialize as _;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::Layer;

/// The variables of a process.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

/// A variable has bytes that are no text.
pub(super) struct NoText;

impl Environment {
    /// Those of this very process, which nobody changes while it runs.
    pub(crate) fn of_this_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    /// The names of all that are set to something.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str())
    }

    /// What a variable is set to, if it is to something.
    pub(super) fn get(&self, variable: &str) -> Option<Result<&str, NoText>> {
        let value = self.0.get(variable)?.to_str().ok_or(NoText);
        Some(value).filter(|value| !value.as_ref().is_ok_and(|text| text.trim().is_empty()))
    }

    /// Whether a variable is set, and to nothing.
    pub(super) fn is_blank(&self, variable: &str) -> bool {
        self.0.get(variable).and_then(|value| value.to_str()).is_some_and(|text| text.trim().is_empty())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

/// Why a text is no value of a setting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoValue(String);

impl de::Error for NoValue {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// A setting alone, of the text of its variable.
///
/// # Errors
/// [`NoValue`]; the text may be in it.
pub(super) fn layer(name: &'static str, text: &str) -> Result<Layer, NoValue> {
    Layer::deserialize(MapDeserializer::<_, NoValue>::new(std::iter::once((name, Value(text)))))
}

/// The text of a variable, or of an element of its list.
#[derive(Clone, Copy)]
struct Value<'t>(&'t str);

impl<'de> IntoDeserializer<'de, NoValue> for Value<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
            let number = self.0.trim().replace('_', "").parse::<$number>();
            let number = number.map_err(|_| {
                NoValue(format!("{:?} is no whole number from {} to {}", self.0, $number::MIN, $number::MAX))
            })?;
            visitor.$visit(number)
        })+
    };
}

impl<'de> de::Deserializer<'de> for Value<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        match self.0.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => visitor.visit_bool(true),
            "false" | "no" | "0" => visitor.visit_bool(false),
            _ => Err(NoValue(format!("{:?} is neither true nor false", self.0))),
        }
    }

    whole_numbers! {
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        visitor.visit_enum(self.0.trim().into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        let elements = self.0.split(',').map(str::trim).filter(|element| !element.is_empty());
        visitor.visit_seq(SeqDeserializer::new(elements.map(Value)))
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}
