//! Which fields a message has, as its own reading of JSON says: serde tells a reader the names of a message's fields before anything is read.

use std::cell::Cell;
use std::iter;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The key of the one entry of a map.
pub(super) const KEY: &str = "1";

/// The name of a message, and those of its fields: the one of the .proto, and behind it the other one where it has two.
pub(super) type Fields = (&'static str, &'static [&'static str]);

/// The fields of the message that stands at `path` inside of `T`: names of fields, through lists and maps as well. `None` where no message is.
pub(super) fn fields<T: DeserializeOwned>(path: &[&str]) -> Option<Fields> {
    let found = Cell::new(None);
    // It always fails: nothing is there to be read.
    let _ = T::deserialize(Probe { path, found: &found });
    found.get()
}

/// Goes down to where a path ends, and notes what is asked for there.
#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [&'a str],
    found: &'a Cell<Option<Fields>>,
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no message is here"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(iter::once(self)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(iter::once((KEY, self))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Some((field, path)) = self.path.split_first() else {
            self.found.set(Some((name, fields)));
            return Err(Error::custom("it is found"));
        };
        visitor.visit_map(MapDeserializer::new(iter::once((*field, Self { path, ..self }))))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Probe<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
