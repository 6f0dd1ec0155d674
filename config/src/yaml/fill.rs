//! What the scalars of an outline are, as `serde_yaml` reads them, and which keys stand twice.

use std::{
    collections::{HashMap, hash_map},
    fmt,
};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Fault, START};
use crate::{
    model::value::Invalid,
    problem::Findings,
    tree::{Content, Entry, Mark, NodeId, Tree},
};

/// Turns the scalars below `roots` into what they are and drops the second of two equal keys.
pub(super) fn fill(
    text: &str,
    roots: &[NodeId],
    tree: &mut Tree,
    findings: &mut Findings,
) -> Result<(), Fault> {
    // A text without a document, which serde_yaml calls an error, is an empty list of documents here.
    if roots.is_empty() {
        return Ok(());
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    for &root in roots {
        let document = documents
            .next()
            .ok_or_else(|| other_shape(tree.node(root).mark))?;
        let mut fill = Fill {
            node: root,
            tree: &mut *tree,
            findings: &mut *findings,
        };
        fill.reborrow(root)
            .deserialize(document)
            .map_err(|error| not_yaml(&error))?;
    }
    match documents.next() {
        Some(_) => Err(other_shape(START)),
        None => Ok(()),
    }
}

/// Goes down one node of the outline and of what serde_yaml reads, in step.
struct Fill<'f> {
    node: NodeId,
    tree: &'f mut Tree,
    findings: &'f mut Findings,
}

impl Fill<'_> {
    fn reborrow(&mut self, node: NodeId) -> Fill<'_> {
        Fill {
            node,
            tree: &mut *self.tree,
            findings: &mut *self.findings,
        }
    }

    /// Replaces the text of a scalar by what it is.
    fn set<E: de::Error>(self, content: Content) -> Result<(), E> {
        let slot = self.tree.content_mut(self.node);
        match slot {
            Content::Text(_) => {
                *slot = content;
                Ok(())
            }
            _ => Err(E::custom(OTHER_SHAPE)),
        }
    }

    /// Takes the children of this node out, to go through them while the tree changes below.
    fn take<E: de::Error, T>(
        &mut self,
        children: impl FnOnce(Content) -> Result<T, Content>,
    ) -> Result<T, E> {
        let content = std::mem::replace(self.tree.content_mut(self.node), Content::Null);
        children(content).map_err(|_| E::custom(OTHER_SHAPE))
    }

    /// Drops entries whose key stood before in the same map.
    fn without_doubles(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut first_line = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.tree.text(entry.key);
            let line = self.tree.node(entry.key).mark.line;
            match first_line.entry(key) {
                hash_map::Entry::Vacant(slot) => {
                    slot.insert(line);
                    kept.push(entry);
                }
                hash_map::Entry::Occupied(first) => {
                    let reason = format!("`{key}` stands twice, first in line {}", first.get());
                    self.findings.error(entry.key, Invalid::because(reason));
                }
            }
        }
        kept
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false, a list or a map")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.set(Content::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.set(Content::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.set(Content::Whole(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        // Past every bound of the language, so what is lost does not matter.
        self.set(Content::Whole(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.set(Content::Whole(i64::MIN))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.set(Content::Whole(i64::MAX))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.set(Content::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        match self.tree.content(self.node) {
            Content::Text(text) if text == value => Ok(()),
            _ => Err(E::custom(OTHER_SHAPE)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let items = self.take(|content| match content {
            Content::List(items) => Ok(items),
            other => Err(other),
        })?;
        for item in &items {
            if list.next_element_seed(self.reborrow(*item))?.is_none() {
                return Err(de::Error::custom(OTHER_SHAPE));
            }
        }
        if list.next_element::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::custom(OTHER_SHAPE));
        }
        *self.tree.content_mut(self.node) = Content::List(items);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let entries = self.take(|content| match content {
            Content::Map(entries) => Ok(entries),
            other => Err(other),
        })?;
        for entry in &entries {
            if map.next_key_seed(SameKey(self.tree.text(entry.key)))?.is_none() {
                return Err(de::Error::custom(OTHER_SHAPE));
            }
            map.next_value_seed(self.reborrow(entry.value))?;
        }
        if map.next_key::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::custom(OTHER_SHAPE));
        }
        let entries = self.without_doubles(entries);
        *self.tree.content_mut(self.node) = Content::Map(entries);
        Ok(())
    }
}

/// A key that must be this text.
struct SameKey<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for SameKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for SameKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key `{}`", self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if text == self.0 {
            Ok(())
        } else {
            Err(E::custom(OTHER_SHAPE))
        }
    }
}

fn not_yaml(error: &serde_yaml::Error) -> Fault {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mark = error.location().map_or(START, |at| Mark {
        line: number(at.line()),
        column: number(at.column()),
    });
    let text = error.to_string();
    let reason = if text.contains(OTHER_SHAPE) {
        OTHER_SHAPE
    } else {
        // The place is told beside the reason, not in it.
        text.split(" at line ").next().unwrap_or(&text)
    };
    Fault {
        mark,
        what: Invalid::because(reason),
    }
}

fn other_shape(mark: Mark) -> Fault {
    Fault {
        mark,
        what: Invalid::because(OTHER_SHAPE),
    }
}

/// Why a text is refused that is YAML to one parser and other YAML to another.
const OTHER_SHAPE: &str = "YAML tools read this differently: write it more plainly, or quote it";
