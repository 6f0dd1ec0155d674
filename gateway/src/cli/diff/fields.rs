//! Two values field by field.
//!
//! Owns the comparison of anything that serializes. Refuses to know what the fields mean.

use serde::Serialize;
use serde_json::{Map, Value};

/// A value as JSON, with the names of fields as they are written in YAML. Places in files are no part of it.
pub(super) fn json(value: &impl Serialize) -> Value {
    // Nothing in a model has a key that is not text, the only thing that cannot be JSON.
    written(serde_json::to_value(value).unwrap_or_default())
}

/// `head_timeout` becomes `headTimeout`.
fn written(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (camel_case(&name), written(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(written).collect()),
        other => other,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        all + letters.as_str()
    })
}

/// `path.to.field: old -> new` for each field that differs.
pub(super) fn changed_fields(old: &Value, new: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    compare("", old, new, &mut changes);
    changes
}

fn compare(path: &str, old: &Value, new: &Value, changes: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(olds), Value::Object(news)) => {
            let gone = olds.keys().filter(|name| !news.contains_key(*name));
            for name in news.keys().chain(gone) {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let value = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                compare(&path, &value(olds), &value(news), changes);
            }
        }
        (old, new) if old == new => {}
        (old, new) => changes.push(format!("{path}: {} -> {}", short(old), short(new))),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn only_what_differs_is_told_with_its_path() {
        let old = value!({ "a": 1, "b": { "c": [1, 2], "d": "x" }, "gone": true });
        let new = value!({ "a": 1, "b": { "c": [1], "d": null }, "come": 2 });
        assert_eq!(
            changed_fields(&old, &new),
            [
                "b.c: [1,2] -> [1]",
                "b.d: x -> none",
                "come: none -> 2",
                "gone: true -> none"
            ]
        );
        assert!(changed_fields(&old, &old).is_empty());
    }

    #[test]
    fn names_are_as_they_are_written() {
        assert_eq!(
            json(&value!({ "head_timeout_max": [{ "a_b": 1 }] })),
            value!({ "headTimeoutMax": [{ "aB": 1 }] })
        );
    }
}
