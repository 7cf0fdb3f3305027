//! What comes with a request: an object of JSON, whose rest are attributes as in the file.

use serde_json::{Map, Value};

use super::Call;
use crate::model::change::{Attributes, Refusal};

/// An object, of which what is known is taken out.
#[derive(Debug)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// The object of a body.
    ///
    /// # Errors
    /// The body is none.
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let value = value(call)?;
        Self::from_value(value, "the body")
    }

    /// A value that is to be one.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn from_value(value: Value, what: &str) -> Result<Self, Refusal> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(Refusal::invalid(format!("{what} is no object, expected {{\"name\": value, …}}"))),
        }
    }

    /// Takes a value out. `null` is none.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text out, a number or a truth value among it.
    ///
    /// # Errors
    /// It is an array or an object.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.take(name).map(|value| text(name, value)).transpose()
    }

    /// As [`Self::text`], under the first of these names that is there.
    ///
    /// # Errors
    /// None is.
    pub(super) fn need(&mut self, names: &[&str]) -> Result<String, Refusal> {
        for name in names {
            if let Some(text) = self.text(name)? {
                return Ok(text);
            }
        }
        let known = names.join(" or ");
        Err(Refusal::invalid(format!("{known} is missing in the body, expected a text")))
    }

    /// What is left, as attributes: `null` takes one away, and `_` is as good as `-`.
    ///
    /// # Errors
    /// A value is an array or an object.
    pub(super) fn attributes(self) -> Result<Attributes, Refusal> {
        let read = |(name, value): (String, Value)| {
            let text = if value.is_null() { String::new() } else { text(&name, value)? };
            Ok((name.replace('_', "-"), text))
        };
        self.0.into_iter().map(read).collect::<Result<_, _>>().map(Attributes)
    }

    /// Refuses what is left.
    ///
    /// # Errors
    /// Something is.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::invalid(format!("{name:?} is unknown here"))),
        }
    }
}

/// The value of a body.
///
/// # Errors
/// It is no JSON.
pub(super) fn value(call: &Call) -> Result<Value, Refusal> {
    serde_json::from_slice(&call.body).map_err(|error| Refusal::invalid(format!("the body is no JSON: {error}")))
}

fn text(name: &str, value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(Refusal::invalid(format!("{name:?} is neither a text nor a number, expected one of them")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rest_of_an_object_is_attributes_in_the_words_of_the_file() {
        let value = json!({"name": "a", "idle_timeout": "3s", "max": null, "weight": 2, "on": true});
        let mut object = Object::from_value(value, "it").unwrap();
        assert_eq!(object.need(&["host", "name"]).as_deref(), Ok("a"));
        let attributes = object.attributes().unwrap();
        assert_eq!(attributes.get("idle-timeout"), Some("3s"));
        assert_eq!((attributes.get("max"), attributes.get("weight")), (Some(""), Some("2")));
        assert_eq!(attributes.get("on"), Some("true"));
    }

    #[test]
    fn value_of_another_shape_is_refused() {
        assert!(Object::from_value(json!([]), "it").is_err());
        let mut object = Object::from_value(json!({"a": [1], "b": {}}), "it").unwrap();
        assert!(object.text("a").is_err() && object.need(&["c", "d"]).is_err());
        assert!(object.attributes().is_err());
        assert!(Object::from_value(json!({"x": 1}), "it").unwrap().end().is_err());
    }
}
