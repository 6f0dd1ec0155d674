//! The JSON Schema and the loader are one language: each refuses the shapes the other refuses.

use serde_json::{Value, json};

use super::*;

/// Why `value` is not what `schema` describes; none if it is.
fn violation(schema: &Value, value: &Value, root: &Value) -> Option<String> {
    let Value::Object(keywords) = schema else {
        return (*schema == json!(false)).then(|| "false".to_owned());
    };
    keywords
        .iter()
        .find_map(|(keyword, rule)| match keyword.as_str() {
            "$ref" => {
                let target = rule.as_str().unwrap().trim_start_matches('#');
                violation(root.pointer(target).unwrap(), value, root)
            }
            "items" => value
                .as_array()?
                .iter()
                .find_map(|item| violation(rule, item, root)),
            "propertyNames" => value
                .as_object()?
                .keys()
                .find_map(|name| violation(rule, &json!(name), root)),
            "properties" => value
                .as_object()?
                .iter()
                .find_map(|(name, field)| violation(rule.get(name)?, field, root)),
            "additionalProperties" => {
                let known = |name: &str| {
                    keywords
                        .get("properties")
                        .is_some_and(|known| known.get(name).is_some())
                };
                let mut others = value.as_object()?.iter().filter(|(name, _)| !known(name));
                others.find_map(|(_, field)| violation(rule, field, root))
            }
            keyword => (!holds(keyword, rule, value, root)).then(|| format!("{keyword} {rule}: {value}")),
        })
}

/// Whether `value` keeps one rule. Knows every keyword our schema uses and panics at any other, so that none goes
/// unnoticed.
fn holds(keyword: &str, rule: &Value, value: &Value, root: &Value) -> bool {
    let list = || rule.as_array().unwrap().iter();
    match keyword {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        "type" => rule == kind(value),
        "const" => rule == value,
        "enum" => list().any(|one| one == value),
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= rule.as_i64().unwrap()),
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| {
            let pattern = Pattern::new(rule.as_str().unwrap()).unwrap();
            pattern.regex().is_match(text.as_bytes())
        }),
        "required" => value.is_object() && list().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "anyOf" => list().any(|one| violation(one, value, root).is_none()),
        "oneOf" => list().filter(|one| violation(one, value, root).is_none()).count() == 1,
        other => panic!("the schema uses the keyword {other}, which this test does not know"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// How many values there are in `value`, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The `index`th value in `value`, counted from the outside in.
fn nth<'v>(value: &'v mut Value, index: &mut usize) -> Option<&'v mut Value> {
    if *index == 0 {
        return Some(value);
    }
    *index -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, index)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, index)),
        _ => None,
    }
}

/// Whether a problem is one of shape, of which a schema can speak; not of what a text says or how fields go together.
fn is_of_shape(reason: &str) -> bool {
    ["unknown field", "expected ", "the list is empty", "only `true`"]
        .iter()
        .any(|start| reason.starts_with(start))
        || reason.ends_with(" is missing")
        || reason.contains(" takes a value")
        || reason.contains(" takes no value")
}

fn every_field() -> Value {
    serde_yaml::from_str(EVERY_FIELD).unwrap()
}

/// Loads `value` and compares with what the schema says of it.
fn compare(value: &Value) -> Result<(), TestCaseError> {
    let schema = super::super::schema();
    let violation = violation(&schema, value, &schema);
    match (load(&[source("f", &value.to_string())]).model, violation) {
        (Ok(_), None) => Ok(()),
        (Ok(_), Some(violation)) => Err(TestCaseError::fail(format!(
            "loads against the schema: {violation}"
        ))),
        (Err(problems), None) => match problems.iter().find(|problem| is_of_shape(&problem.reason)) {
            Some(problem) => Err(TestCaseError::fail(format!("the schema does not see: {problem}"))),
            None => Ok(()),
        },
        (Err(_), Some(_)) => Ok(()),
    }
}

#[test]
fn the_schema_describes_every_field() {
    compare(&every_field()).unwrap();
    let schema = super::super::schema();
    assert_eq!(violation(&schema, &every_field(), &schema), None);
}

#[test]
fn leaving_out_any_one_field_is_judged_alike() {
    let whole = every_field();
    for index in 0..count(&whole) {
        let mut probe = whole.clone();
        let names = match nth(&mut probe, &mut index.clone()) {
            Some(Value::Object(fields)) => fields.keys().cloned().collect(),
            _ => Vec::new(),
        };
        for name in names {
            let mut without = whole.clone();
            if let Some(Value::Object(fields)) = nth(&mut without, &mut index.clone()) {
                fields.remove(&name);
            }
            compare(&without).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn any_other_value_anywhere_is_judged_alike(
        index in 0..count(&every_field()),
        other in prop_oneof![
            Just(json!(null)), Just(json!(true)), Just(json!(false)), Just(json!(-1)), Just(json!(0)), Just(json!(1)),
            Just(json!(70_000)), Just(json!(1.5)), Just(json!(9_000_000_000_000_u64)), Just(json!("")),
            Just(json!("none")), Just(json!("auto")), Just(json!("x y")), Just(json!("3s")), Just(json!("64KiB")),
            Just(json!("/a")), Just(json!([])), Just(json!([1])), Just(json!([{}])), Just(json!(["a"])),
            Just(json!({})), Just(json!({ "exact": "a" })), Just(json!({ "prefix": "/a", "regex": "a" })),
            Just(json!({ "unknown": 1 })), Just(json!({ "not": { "present": 1 } })),
        ],
        add in any::<bool>(),
    ) {
        let mut value = every_field();
        let target = nth(&mut value, &mut index.clone()).unwrap();
        match target {
            Value::Array(items) if add => items.push(other),
            Value::Object(fields) if add => {
                fields.insert("added".to_owned(), other);
            }
            target => *target = other,
        }
        compare(&value)?;
    }
}
