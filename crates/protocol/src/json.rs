//! proto3 JSON, written as LiveKit's own server writes it in answers, and read as leniently as that does.
//!
//! Answers have the names of the .proto files, and every field, with its default where nothing is set. The messages' own serde
//! implementations write the other form that proto3 allows, which is that of webhooks: camelCase, without defaults. They know the names and
//! the kinds of all fields, so that these are asked of them, once for each kind of message:
//!
//! ```text
//!   message ─► its serde ─► camelCase, without defaults ─┐
//!   its type ─► which fields? (probe) ─► of which kind? ─┴─► names of the .proto, with defaults
//!                                         └ what it makes of a few values
//! ```
//!
//! # Invariants
//!
//! - No message is written by hand: what a new version of the protocol adds is written too.
//! - What is not understood of a field is left as its message writes it.

pub mod known;
mod layout;
mod probe;

use std::sync::{LazyLock, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use layout::{Field, Kind, Layouts};

/// Every whole number up to here is one in a float, too.
const WHOLE_AT_MOST: f64 = 9_007_199_254_740_992.0;

static LAYOUTS: LazyLock<RwLock<Layouts>> = LazyLock::new(RwLock::default);

/// A message as LiveKit's server answers it.
///
/// # Errors
/// An enum has a value that this version of the protocol does not know.
pub fn write<T: Serialize + DeserializeOwned>(message: &T) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&completed::<T>(serde_json::to_value(message)?))
}

/// Reads a message: names in either case, numbers as texts or with a fraction of zero, enums as names or numbers. `null` is as good as
/// nothing, and what is not known is ignored.
///
/// # Errors
/// It is no JSON, or a field is of another kind.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    read_value(serde_json::from_slice(body)?)
}

/// The same, of what is JSON already.
///
/// # Errors
/// A field is of another kind.
pub fn read_value<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
    serde_json::from_value(plain(value))
}

/// Without fields that are `null`, and with whole numbers written as such.
pub fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().filter(|(_, value)| !value.is_null());
            said.map(|(name, value)| (name, plain(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Number(number) => whole(&number).map_or(Value::Number(number), Value::Number),
        other => other,
    }
}

/// A float without a fraction as a whole number.
fn whole(number: &Number) -> Option<Number> {
    let value = number.as_f64().filter(|_| number.is_f64())?;
    (value.fract() == 0.0 && value.abs() <= WHOLE_AT_MOST).then(|| Number::from(value as i64))
}

/// With every field of its type.
fn completed<T: Serialize + DeserializeOwned>(value: Value) -> Value {
    let Some((message, _)) = probe::fields::<T>(&[]) else { return value };
    let is_known = |layouts: &Layouts| layouts.contains_key(message);
    if !is_known(&LAYOUTS.read().unwrap_or_else(PoisonError::into_inner)) {
        layout::learn::<T>(&mut LAYOUTS.write().unwrap_or_else(PoisonError::into_inner));
    }
    complete(value, message, &LAYOUTS.read().unwrap_or_else(PoisonError::into_inner))
}

/// No message is inside itself without end: it has come from memory.
fn complete(value: Value, message: &str, layouts: &Layouts) -> Value {
    let Some(fields) = layouts.get(message) else { return value };
    let mut said = match value {
        Value::Object(said) => said,
        other => return other,
    };
    let mut all = Map::new();
    for Field { name, camel, kind } in fields.iter() {
        let value = said.remove(camel);
        let each = |value: Value, of: &Option<&'static str>| match of {
            Some(message) => complete(value, message, layouts),
            None => value,
        };
        let value = match (kind, value) {
            (Kind::Scalar(default), None) => default.clone(),
            (Kind::Message { is_choice: false, .. }, None) => Value::Null,
            (Kind::Message { is_choice: true, .. } | Kind::Optional, None) => continue,
            (Kind::Message { of, .. }, Some(value)) => complete(value, of, layouts),
            (Kind::List(_), None) => Value::Array(Vec::new()),
            (Kind::List(of), Some(Value::Array(items))) => {
                items.into_iter().map(|item| each(item, of)).collect()
            }
            (Kind::Map(_), None) => Value::Object(Map::new()),
            (Kind::Map(of), Some(Value::Object(entries))) => {
                let entries = entries.into_iter().map(|(key, value)| (key, each(value, of)));
                entries.collect::<Map<_, _>>().into()
            }
            (_, Some(value)) => value,
        };
        all.insert((*name).to_owned(), value);
    }
    all.extend(said);
    Value::Object(all)
}

#[cfg(test)]
mod tests;
