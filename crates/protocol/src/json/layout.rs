//! Of which kind the fields of a message are, as it makes known by what it takes and what it makes of that.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::Index;
use serde_json::{Map, Value, json};

use super::probe::{self, KEY};

/// A text, and base 64.
const TEXT: &str = "AAAA";
/// What no enum has for a name.
const NO_NAME: &str = "?";
/// An enum has one of these besides 0.
const NUMBERS: std::ops::RangeInclusive<i32> = 1..=16;

/// The fields of messages, by the messages' names.
pub(super) type Layouts = HashMap<&'static str, Arc<[Field]>>;

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// As in the .proto.
    pub(super) name: &'static str,
    /// As its message writes it.
    pub(super) camel: String,
    pub(super) kind: Kind,
}

/// What kind of field it is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// A text, bytes, a number, an enum: where it is not set it has this value.
    Scalar(Value),
    /// One that is told only where it is set.
    Optional,
    /// A message of this name, perhaps one of several of which one is set.
    Message { of: &'static str, is_choice: bool },
    /// Several, of this message where it is one.
    List(Option<&'static str>),
    /// The same by keys.
    Map(Option<&'static str>),
}

/// How a message stands in the one around it.
#[derive(Clone, Copy)]
enum Within {
    Field,
    List,
    Map,
}

/// The way to a message inside another one.
struct Step {
    name: &'static str,
    camel: String,
    within: Within,
}

/// Learns the layout of `T` and of all messages inside it.
pub(super) fn learn<T: Serialize + DeserializeOwned>(layouts: &mut Layouts) {
    learn_at::<T>(&mut Vec::new(), layouts);
}

/// Learns the message that stands there; gives its name.
fn learn_at<T: Serialize + DeserializeOwned>(
    path: &mut Vec<Step>,
    layouts: &mut Layouts,
) -> Option<&'static str> {
    let names: Vec<_> = path.iter().map(|step| step.name).collect();
    let (message, names) = probe::fields::<T>(&names)?;
    if layouts.contains_key(message) {
        return Some(message);
    }
    // So that one that is inside itself is not looked into without end.
    layouts.insert(message, Arc::from([]));
    let mut fields: Vec<Field> = Vec::new();
    let mut samples = Vec::new();
    for name in names.iter().copied() {
        // The other name of a field follows its first.
        if fields.iter().any(|field| field.camel == name) {
            continue;
        }
        if let Some((field, sample)) = field::<T>(path, name, layouts) {
            fields.push(field);
            samples.push(sample);
        }
    }
    mark_choices::<T>(path, &mut fields, &samples);
    layouts.insert(message, fields.into());
    Some(message)
}

/// A field, and a value that it takes.
fn field<T: Serialize + DeserializeOwned>(
    path: &mut Vec<Step>,
    name: &'static str,
    layouts: &mut Layouts,
) -> Option<(Field, Value)> {
    let said = |path: &[Step], value: &Value| said::<T>(path, name, value);
    let first = |path: &[Step], values: &[Value]| {
        values.iter().find_map(|value| Some((said(path, value).ok()??, value.clone())))
    };
    let mut inside = |path: &mut Vec<Step>, camel: &str, within| {
        path.push(Step { name, camel: camel.to_owned(), within });
        let message = learn_at::<T>(path, layouts);
        path.pop();
        message
    };
    let empty = json!({});
    match said(path, &empty) {
        Ok(Some((camel, _))) => {
            let of = inside(path, &camel, Within::Field);
            let kind = of.map_or(Kind::Optional, |of| Kind::Message { of, is_choice: false });
            return Some((Field { name, camel, kind }, empty));
        }
        Ok(None) => {
            let ((camel, _), sample) = first(
                path,
                &[json!({ KEY: {} }), json!({ KEY: TEXT }), json!({ KEY: "1" }), json!({ KEY: true })],
            )?;
            let of = sample[KEY].is_object().then(|| inside(path, &camel, Within::Map)).flatten();
            return Some((Field { name, camel, kind: Kind::Map(of) }, sample));
        }
        Err(_) => {}
    }
    if said(path, &json!([])).is_ok() {
        let ((camel, _), sample) =
            first(path, &[json!([{}]), json!([TEXT]), json!(["1"]), json!([true]), json!([0]), json!([1])])?;
        let of = sample[0].is_object().then(|| inside(path, &camel, Within::List)).flatten();
        return Some((Field { name, camel, kind: Kind::List(of) }, sample));
    }
    let path: &[Step] = path;
    let of = |((camel, _), sample): ((String, Value), Value), zero: &Value, default: Value| {
        // What says that it is zero tells whether it is set.
        let has_presence = matches!(said(path, zero), Ok(Some(_)));
        let kind = if has_presence { Kind::Optional } else { Kind::Scalar(default) };
        (Field { name, camel, kind }, sample)
    };
    if let Some(taken) = first(path, &[json!(true)]) {
        return Some(of(taken, &json!(false), json!(false)));
    }
    if let Some(taken) = first(path, &[json!(TEXT)]) {
        return Some(of(taken, &json!(""), json!("")));
    }
    let zero_name = said(path, &json!(NO_NAME)).err().and_then(|error| first_name(&error));
    let numbers: Vec<_> = NUMBERS.map(|number| json!(number)).collect();
    let taken = first(path, &numbers)?;
    let default = match (zero_name, &taken.0.1) {
        (Some(name), _) => json!(name),
        // What may be longer than a float holds is a text.
        (None, Value::String(_)) => json!("0"),
        (None, _) => json!(0),
    };
    Some(of(taken, &json!(0), default))
}

/// The first of the names that an enum has, of its complaint that a name is none of them: that is the one of 0.
fn first_name(complaint: &str) -> Option<String> {
    let (_, names) =
        complaint.strip_prefix("unknown variant").and_then(|rest| rest.split_once("expected"))?;
    names.split('`').nth(1).map(str::to_owned)
}

/// Of messages of which one at most is set: two of them together are one too many.
fn mark_choices<T: Serialize + DeserializeOwned>(path: &[Step], fields: &mut [Field], samples: &[Value]) {
    let with_presence = |field: &Field| matches!(field.kind, Kind::Message { .. } | Kind::Optional);
    let places: Vec<_> = (0..fields.len()).filter(|place| with_presence(&fields[*place])).collect();
    for (nth, one) in places.iter().enumerate() {
        for other in &places[nth + 1..] {
            let both = [*one, *other].map(|place| (fields[place].name, &samples[place]));
            let clash =
                message_at::<T>(path, object(both)).is_err_and(|error| error.contains("duplicate field"));
            for place in [*one, *other].into_iter().filter(|_| clash) {
                if let Kind::Message { is_choice, .. } = &mut fields[place].kind {
                    *is_choice = true;
                }
            }
        }
    }
}

/// What a message writes that was given one field: the field's name and value, if it writes any.
fn said<T: Serialize + DeserializeOwned>(
    path: &[Step],
    name: &str,
    value: &Value,
) -> Result<Option<(String, Value)>, String> {
    let written = message_at::<T>(path, object([(name, value)]))?;
    Ok(written.into_iter().next())
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect::<Map<_, _>>().into()
}

/// What the message at `path` writes of itself when it has been read as `value`.
fn message_at<T: Serialize + DeserializeOwned>(
    path: &[Step],
    value: Value,
) -> Result<Map<String, Value>, String> {
    let around = |value: Value, step: &Step| {
        let inside = match step.within {
            Within::Field => value,
            Within::List => Value::Array(vec![value]),
            Within::Map => object([(KEY, &value)]),
        };
        object([(step.name, &inside)])
    };
    let whole = path.iter().rev().fold(value, around);
    let message: T = serde_json::from_value(whole).map_err(|error| error.to_string())?;
    let mut written = serde_json::to_value(&message).map_err(|error| error.to_string())?;
    for step in path {
        let mut inside = taken(&mut written, step.camel.as_str());
        written = match step.within {
            Within::Field => inside,
            Within::List => taken(&mut inside, 0),
            Within::Map => taken(&mut inside, KEY),
        };
    }
    match written {
        Value::Object(fields) => Ok(fields),
        _ => Err("it writes nothing of itself".to_owned()),
    }
}

fn taken(value: &mut Value, at: impl Index) -> Value {
    value.get_mut(at).map(Value::take).unwrap_or_default()
}
