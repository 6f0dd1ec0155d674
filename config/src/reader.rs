//! A [`Tree`] as a serde data format that reports every mistake instead of ending at the first.
//!
//! The types of [`crate::spec`] derive serde's `Deserialize`, so that what is read and what the JSON Schema says
//! is one definition. Two things here let reading go on past a mistake: an unknown field is reported and
//! skipped, and a [`Slot`](crate::spec::Slot) turns a value that cannot be read into "wrong, and reported".
//!
//! Owns the words for mistakes of shape. Refuses to know names, references and what fields mean together.

mod refusal;

use std::cell::RefCell;

use serde::{
    de::{
        self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
        Unexpected, VariantAccess, Visitor, value::U32Deserializer,
    },
    forward_to_deserialize_any,
};

use crate::{
    problem::Findings,
    tree::{Content, Entry, NodeId, Tree},
};
pub(crate) use refusal::{Refusal, closest, refuse};

/// Reads one node.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    tree: &'r Tree,
    node: NodeId,
    findings: &'r RefCell<Findings>,
}

impl<'r> Reader<'r> {
    /// Reads `node`; what is wrong goes to `findings`.
    pub(crate) fn new(tree: &'r Tree, node: NodeId, findings: &'r RefCell<Findings>) -> Self {
        Self { tree, node, findings }
    }

    fn at(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    /// Reports a refusal here, unless it was reported further down.
    fn report(self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Untold(what) => {
                self.findings.borrow_mut().error(self.node, what);
                Refusal::Told
            }
            Refusal::Told => Refusal::Told,
        }
    }

    fn read_any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.tree.content(self.node) {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Whole(value) => visitor.visit_i64(*value),
            Content::Float(value) => visitor.visit_f64(*value),
            Content::Text(text) => visitor.visit_str(text),
            Content::List(items) => visitor.visit_seq(Items {
                reader: self,
                rest: items.iter(),
            }),
            Content::Map(entries) => visitor.visit_map(Fields {
                reader: self,
                known: None,
                rest: entries.iter(),
                value: None,
            }),
        }
    }

    fn read_enum<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let (key, value) = match self.tree.content(self.node) {
            Content::Text(_) => (self.node, None),
            Content::Map(entries) => match entries.as_slice() {
                [Entry { key, value }] => (*key, Some(*value)),
                _ => {
                    return Err(Refusal::not_one_of(
                        words,
                        entries.iter().map(|entry| self.tree.text(entry.key)),
                    ));
                }
            },
            content => return Err(Refusal::no_word(words, content)),
        };
        if !words.contains(&self.tree.text(key)) {
            let refusal = Refusal::unknown_word(name, self.tree.text(key), words, value.is_none());
            return Err(self.at(key).report(refusal));
        }
        visitor.visit_enum(Word {
            reader: self,
            key,
            value,
        })
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.read_any(visitor).map_err(|refusal| self.report(refusal))
    }

    /// An absent field is none; what is written, even `null`, is some.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.read_enum(name, variants, visitor)
            .map_err(|refusal| self.report(refusal))
    }

    /// Fields the struct does not have are reported here and never reach it.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let read = match self.tree.content(self.node) {
            Content::Map(entries) => visitor.visit_map(Fields {
                reader: self,
                known: Some(fields),
                rest: entries.iter(),
                value: None,
            }),
            // Serde's structs would take a list for their fields in order.
            Content::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.read_any(visitor),
        };
        read.map_err(|refusal| self.report(refusal))
    }

    /// An [`OrNone`](crate::spec::OrNone), the only newtype struct read: the word `none`, or a value.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.tree.content(self.node) {
            Content::Text(text) if text == "none" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A [`Slot`](crate::spec::Slot), the only tuple struct read: first the node's id, then its value.
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_seq(SlotParts {
            reader: self,
            id_is_next: true,
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple map identifier ignored_any
    }
}

/// The items of a list.
struct Items<'r> {
    reader: Reader<'r>,
    rest: std::slice::Iter<'r, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        self.rest
            .next()
            .map(|&item| seed.deserialize(self.reader.at(item)))
            .transpose()
    }
}

/// The entries of a map.
struct Fields<'r> {
    reader: Reader<'r>,
    /// The fields it may have; `None` for a map whose keys are free.
    known: Option<&'static [&'static str]>,
    rest: std::slice::Iter<'r, Entry>,
    value: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        for entry in self.rest.by_ref() {
            let key = self.reader.at(entry.key);
            let name = key.tree.text(entry.key);
            match self.known {
                Some(known) if !known.contains(&name) => {
                    key.report(Refusal::unknown_field(name, known));
                }
                _ => {
                    self.value = Some(entry.value);
                    return seed.deserialize(key).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        match self.value.take() {
            Some(value) => seed.deserialize(self.reader.at(value)),
            None => Err(Refusal::because("a value was asked for before its key")),
        }
    }
}

/// One of several words, alone or as the only key of a map.
struct Word<'r> {
    reader: Reader<'r>,
    key: NodeId,
    value: Option<NodeId>,
}

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refusal> {
        Ok((seed.deserialize(self.reader.at(self.key))?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.value {
            Some(_) => Err(Refusal::because(format!(
                "`{}` takes no value",
                self.reader.tree.text(self.key)
            ))),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        let word = self.reader.tree.text(self.key);
        match self.value {
            Some(value) => seed.deserialize(self.reader.at(value)),
            None => Err(Refusal::because(format!(
                "`{word}` takes a value, as in `{{ {word}: ... }}`"
            ))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Refusal> {
        Err(Refusal::because("no word of the language holds several values"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Refusal> {
        Err(Refusal::because("no word of the language holds several values"))
    }
}

/// What a slot is made of.
struct SlotParts<'r> {
    reader: Reader<'r>,
    id_is_next: bool,
}

impl<'de> SeqAccess<'de> for SlotParts<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        if std::mem::take(&mut self.id_is_next) {
            let id: U32Deserializer<Refusal> = self.reader.node.0.into_deserializer();
            return seed.deserialize(id).map(Some);
        }
        // A slot takes any refusal for one that was told, those too that a type makes without asking the reader.
        let value = seed.deserialize(self.reader);
        value.map(Some).map_err(|refusal| self.reader.report(refusal))
    }
}
