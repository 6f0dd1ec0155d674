//! Containers that keep reading past a mistake: slots, lists, tables, and values that may be `none`.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::scalar::Int;
use crate::{model::value::Invalid, reader::refuse, tree::NodeId};

/// The place of a field or item, and what stands there.
#[derive(Debug, Default)]
pub(crate) enum Slot<T> {
    /// Nothing is written.
    #[default]
    Absent,
    /// What is written is wrong, and was reported.
    Wrong(NodeId),
    /// What is written.
    Given(NodeId, T),
}

/// A list of at least `MIN` items.
#[derive(Debug)]
pub(crate) struct List<T, const MIN: usize = 0>(pub(crate) Vec<Slot<T>>);

/// A map with free keys, in the order they are written.
#[derive(Debug)]
pub(crate) struct Table<K, V>(pub(crate) Vec<(Slot<K>, Slot<V>)>);

/// A value, or the word `none` for going without the default.
#[derive(Debug)]
pub(crate) enum OrNone<T> {
    None,
    Some(T),
}

impl<T> Slot<T> {
    /// The value, if one could be read.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Given(_, value) => Some(value),
            Self::Absent | Self::Wrong(_) => None,
        }
    }

    /// The node and its value, if one could be read.
    pub(crate) fn given(&self) -> Option<(NodeId, &T)> {
        match self {
            Self::Given(node, value) => Some((*node, value)),
            Self::Absent | Self::Wrong(_) => None,
        }
    }

    /// The node, if something is written.
    pub(crate) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Absent => None,
            Self::Wrong(node) | Self::Given(node, _) => Some(*node),
        }
    }

    /// What `read` makes of the value; `default` where nothing is written; `None` where something wrong is.
    pub(crate) fn read_or<U>(&self, default: U, read: impl FnOnce(&T) -> U) -> Option<U> {
        match self {
            Self::Absent => Some(default),
            Self::Wrong(_) => None,
            Self::Given(_, value) => Some(read(value)),
        }
    }
}

impl<T: Default> Slot<T> {
    /// What `convert` makes of the value, or of one where every field is absent; `None` where something wrong is.
    pub(crate) fn nested<U>(&self, convert: impl FnOnce(&T) -> Option<U>) -> Option<U> {
        match self {
            Self::Absent => convert(&T::default()),
            Self::Wrong(_) => None,
            Self::Given(_, value) => convert(value),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Slot<Int<MIN, MAX>> {
    /// The number, or `default` where nothing is written; `None` where something wrong is.
    pub(crate) fn number_or<N: TryFrom<u64>>(&self, default: N) -> Option<N> {
        match self {
            Self::Absent => Some(default),
            Self::Wrong(_) => None,
            Self::Given(_, number) => number.get(),
        }
    }
}

impl<T, const MIN: usize> Default for List<T, MIN> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MIN: usize> Slot<List<T, MIN>> {
    /// The items written, wrong ones included; none where no list is.
    pub(crate) fn items(&self) -> &[Slot<T>] {
        self.value().map_or(&[], |list| list.0.as_slice())
    }
}

impl<K, V> Slot<Table<K, V>> {
    /// The entries written, wrong ones included; none where no map is.
    pub(crate) fn entries(&self) -> &[(Slot<K>, Slot<V>)] {
        self.value().map_or(&[], |table| table.0.as_slice())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Slot<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(SlotVisitor(PhantomData))
    }
}

struct SlotVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SlotVisitor<T> {
    type Value = Slot<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_none<E: de::Error>(self) -> Result<Slot<T>, E> {
        Ok(Slot::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Slot<T>, D::Error> {
        deserializer.deserialize_tuple_struct("Slot", 2, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Slot<T>, A::Error> {
        let Some(node) = parts.next_element::<u32>()?.map(NodeId) else {
            return Ok(Slot::Absent);
        };
        Ok(match parts.next_element::<T>() {
            Ok(Some(value)) => Slot::Given(node, value),
            // The reader reported it when it arose.
            Ok(None) | Err(_) => Slot::Wrong(node),
        })
    }
}

impl<'de, T: Deserialize<'de>, const MIN: usize> Deserialize<'de> for List<T, MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MIN: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MIN: usize> Visitor<'de> for ListVisitor<T, MIN> {
    type Value = List<T, MIN>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(refuse(Invalid::rather(
            format!("expected a list, found {text:?}"),
            format!("[{text}]"),
        )))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        if list.len() < MIN {
            return Err(de::Error::custom("the list is empty"));
        }
        Ok(List(list))
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for TableVisitor<K, V> {
    type Value = Table<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Table(entries))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrNone<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct("OrNone", OrNoneVisitor(PhantomData))
    }
}

struct OrNoneVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrNoneVisitor<T> {
    type Value = OrNone<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or `none`")
    }

    fn visit_none<E: de::Error>(self) -> Result<OrNone<T>, E> {
        Ok(OrNone::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<OrNone<T>, D::Error> {
        T::deserialize(deserializer).map(OrNone::Some)
    }
}

impl<T: JsonSchema> JsonSchema for Slot<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema, const MIN: usize> JsonSchema for List<T, MIN> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}List{MIN}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        match MIN {
            0 => json_schema!({ "type": "array", "items": items }),
            _ => json_schema!({ "type": "array", "items": items, "minItems": MIN }),
        }
    }
}

impl<K: JsonSchema, V: JsonSchema> JsonSchema for Table<K, V> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}By{}", V::schema_name(), K::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<K>();
        let values = generator.subschema_for::<V>();
        json_schema!({ "type": "object", "propertyNames": keys, "additionalProperties": values })
    }
}

impl<T: JsonSchema> JsonSchema for OrNone<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrNone", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [value, { "const": "none" }] })
    }
}
