//! The trie over hosts and path elements, in one flat table.
//!
//! Owns where nodes lie and how they are reached. Refuses to change once built, and to know what candidates are.
//!
//! A node lies where the hash of its parent and its text puts it (open addressing, linear probing, at most half
//! full), and is one cache line with its text in it: a large table costs a lookup no more than one line from a
//! farther cache for each step. Clients choose what is looked up, never what is stored, so a fixed hash is safe:
//! no request can lengthen a probe beyond the longest run of used slots.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
};

use foldhash::fast::FixedState;

use super::Place;

/// The parent of exact hosts.
pub(super) const EXACT_HOSTS: u32 = u32::MAX;
/// The parent of wildcard hosts, named by their tail.
pub(super) const WILDCARD_HOSTS: u32 = u32::MAX - 1;
/// The parent of the nameless node for every host.
pub(super) const ANY_HOST: u32 = u32::MAX - 2;
/// Stands for no node.
pub(super) const NO_NODE: u32 = u32::MAX - 3;

/// Nodes by parent and text. The children of a host are path elements, and their children the next elements. Elements
/// that lead on one way only, without candidates, are no nodes: their text is part of that of the next.
#[derive(Debug)]
pub(super) struct Trie {
    slots: Vec<Node>,
    /// The texts too long for their node, end to end.
    long_texts: String,
    hash: FixedState,
}

/// A host, or a path reached from a host element by element.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Node {
    /// [`NO_NODE`] in a slot that is free.
    parent: u32,
    text: Text,
    /// How many elements the text of each child holds; 0 without children.
    pub(super) stride: u16,
    /// The nearest node above whose `prefix` is not empty, or [`NO_NODE`].
    pub(super) shorter: u32,
    pub(super) spans: Spans,
    /// The rule of the first candidate, if that asks nothing more of a request and one of the spans is empty: then
    /// no candidate need be read.
    sole: Place,
}

/// The candidates of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spans {
    /// For exactly this path; at a host, which is no whole path, its regular expressions.
    pub(super) own: Span,
    /// For this path and all below it.
    pub(super) prefix: Span,
}

/// A run of candidates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Numbers as bytes, so that the alignment of one takes no space from the other.
#[derive(Debug, Clone)]
enum Text {
    Short { bytes: u8, text: [u8; SHORT_BYTES] },
    Long { start: [u8; 4], end: [u8; 4] },
}

/// What fills a node up to one cache line of 64 bytes.
const SHORT_BYTES: usize = 24;

impl Trie {
    /// The child of `parent` by `text`.
    #[inline]
    pub(super) fn child(&self, parent: u32, text: &str) -> Option<u32> {
        let mut position = self.first_slot(parent, text);
        loop {
            let node = &self.slots[position];
            if node.parent == NO_NODE {
                return None;
            }
            if node.parent == parent && self.text(node) == text.as_bytes() {
                return Some(position as u32);
            }
            position = self.slot_after(position);
        }
    }

    /// The deepest node on the way of `path` from the node of a host, and whether that is the whole of it.
    #[inline]
    pub(super) fn descend(&self, host: u32, path: &str) -> (u32, bool) {
        let mut node = host;
        let mut rest = path.strip_prefix('/');
        while let Some(path) = rest {
            let child = match split_elements(path, self.node(node).stride) {
                Some((text, after)) => {
                    rest = after;
                    self.child(node, text)
                }
                None => None,
            };
            match child {
                Some(child) => node = child,
                None => return (node, false),
            }
        }
        (node, node != host)
    }

    #[inline]
    pub(super) fn node(&self, node: u32) -> &Node {
        &self.slots[node as usize]
    }

    #[inline]
    fn text<'t>(&'t self, node: &'t Node) -> &'t [u8] {
        match &node.text {
            Text::Short { bytes, text } => &text[..usize::from(*bytes)],
            Text::Long { start, end } => {
                let [start, end] = [start, end].map(|bytes| u32::from_ne_bytes(*bytes) as usize);
                &self.long_texts.as_bytes()[start..end]
            }
        }
    }

    /// Where the search for a child begins.
    #[inline]
    fn first_slot(&self, parent: u32, text: &str) -> usize {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u32(parent);
        hasher.write(text.as_bytes());
        hasher.finish() as usize & (self.slots.len() - 1)
    }

    #[inline]
    const fn slot_after(&self, position: usize) -> usize {
        (position + 1) & (self.slots.len() - 1)
    }

    fn insert(&mut self, parent: u32, text: &str, stride: u16, spans: Spans, sole: Place) -> u32 {
        let mut position = self.first_slot(parent, text);
        while self.slots[position].parent != NO_NODE {
            position = self.slot_after(position);
        }
        let shorter = match self.slots.get(parent as usize) {
            Some(above) if above.spans.prefix.is_empty() => above.shorter,
            Some(_) => parent,
            None => NO_NODE,
        };
        self.slots[position] = Node {
            parent,
            text: self.keep(text),
            stride,
            shorter,
            spans,
            sole,
        };
        index(position)
    }

    /// Makes room for one more element in the texts of the children that `node` is about to get.
    fn lengthen_stride(&mut self, node: u32) -> bool {
        let stride = &mut self.slots[node as usize].stride;
        let Some(longer) = stride.checked_add(1) else {
            return false;
        };
        *stride = longer;
        true
    }

    fn keep(&mut self, text: &str) -> Text {
        let mut short = [0; SHORT_BYTES];
        if let Some(start) = short.get_mut(..text.len()) {
            start.copy_from_slice(text.as_bytes());
            return Text::Short {
                bytes: text.len() as u8,
                text: short,
            };
        }
        let start = index(self.long_texts.len()).to_ne_bytes();
        self.long_texts.push_str(text);
        let end = index(self.long_texts.len()).to_ne_bytes();
        Text::Long { start, end }
    }
}

/// The first `count` elements of `path` and what follows their slash, if one does; `None` if there are none to take.
#[inline]
fn split_elements(path: &str, count: u16) -> Option<(&str, Option<&str>)> {
    let mut slashes_left = count.checked_sub(1)?;
    for (position, byte) in path.bytes().enumerate() {
        if byte == b'/' {
            match slashes_left.checked_sub(1) {
                Some(left) => slashes_left = left,
                None => return Some((&path[..position], Some(&path[position + 1..]))),
            }
        }
    }
    (slashes_left == 0).then_some((path, None))
}

impl Node {
    /// The rule that takes every request that leads here, if `span`, one of this node's, has such a one first.
    #[inline]
    pub(super) fn sole(&self, span: Span) -> Option<Place> {
        (self.sole != Place::NONE && !span.is_empty()).then_some(self.sole)
    }
}

impl Spans {
    /// The one that is not empty, if the other is.
    fn only(self) -> Option<Span> {
        match (self.own.is_empty(), self.prefix.is_empty()) {
            (true, false) => Some(self.prefix),
            (false, true) => Some(self.own),
            _ => None,
        }
    }
}

impl Span {
    #[inline]
    pub(super) fn indices(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A trie that still grows. Its nodes are numbered in the order they came, so a parent is before its children.
#[derive(Default)]
pub(super) struct Sketch<'m> {
    nodes: Vec<Stroke<'m>>,
    known: HashMap<(u32, &'m str), u32, FixedState>,
}

/// A node of a sketch; its text is one element.
struct Stroke<'m> {
    parent: u32,
    text: &'m str,
    children: u32,
    spans: Spans,
}

impl<'m> Sketch<'m> {
    /// The child of `parent` by `text`, made if need be.
    pub(super) fn child(&mut self, parent: u32, text: &'m str) -> u32 {
        *self.known.entry((parent, text)).or_insert_with(|| {
            if let Some(above) = self.nodes.get_mut(parent as usize) {
                above.children += 1;
            }
            self.nodes.push(Stroke {
                parent,
                text,
                children: 0,
                spans: Spans::default(),
            });
            index(self.nodes.len() - 1)
        })
    }

    pub(super) fn spans(&mut self, node: u32) -> &mut Spans {
        &mut self.nodes[node as usize].spans
    }

    /// Freezes it. `sole` tells the rule of a candidate, if that asks nothing beyond host and path.
    pub(super) fn finish(self, sole: impl Fn(usize) -> Option<Place>) -> Trie {
        let free = Node {
            parent: NO_NODE,
            text: Text::Long {
                start: [0; 4],
                end: [0; 4],
            },
            stride: 0,
            shorter: NO_NODE,
            spans: Spans::default(),
            sole: Place::NONE,
        };
        let mut trie = Trie {
            slots: vec![free; (self.nodes.len() * 2 + 1).next_power_of_two()],
            long_texts: String::new(),
            hash: FixedState::default(),
        };
        // Where the children of each node go, and what their texts begin with.
        let mut places: Vec<(u32, String)> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let (parent, mut text) = places
                .get(node.parent as usize)
                .cloned()
                .unwrap_or((node.parent, String::new()));
            text.push_str(node.text);
            let stride = u16::from(node.children > 0);
            if self.is_passage(node) && trie.lengthen_stride(parent) {
                text.push('/');
                places.push((parent, text));
            } else {
                let sole = node
                    .spans
                    .only()
                    .and_then(|span| sole(span.indices().start))
                    .unwrap_or(Place::NONE);
                places.push((
                    trie.insert(parent, &text, stride, node.spans, sole),
                    String::new(),
                ));
            }
        }
        trie
    }

    /// Whether `node` only leads on, and nothing else leads on from above it.
    fn is_passage(&self, node: &Stroke<'_>) -> bool {
        let alone = self
            .nodes
            .get(node.parent as usize)
            .is_some_and(|above| above.children == 1);
        alone && node.spans.own.is_empty() && node.spans.prefix.is_empty()
    }
}

/// A position in a table as the 32 bits it is kept in.
pub(super) fn index(position: usize) -> u32 {
    let index = u32::try_from(position).ok().filter(|index| *index < NO_NODE);
    index.expect("a configuration that fits into memory has fewer nodes, candidates and bytes of text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_node_is_one_cache_line() {
        assert_eq!(size_of::<Node>(), 64);
    }

    #[test]
    fn an_empty_trie_knows_nothing() {
        let trie = Sketch::default().finish(|_| None);
        assert_eq!(trie.child(ANY_HOST, ""), None);
        assert_eq!(trie.child(EXACT_HOSTS, "example.com"), None);
        assert_eq!(trie.child(0, ""), None);
    }

    #[test]
    fn elements_are_taken_by_number() {
        assert_eq!(split_elements("a/b/c", 0), None);
        assert_eq!(split_elements("a/b/c", 1), Some(("a", Some("b/c"))));
        assert_eq!(split_elements("a/b/c", 2), Some(("a/b", Some("c"))));
        assert_eq!(split_elements("a/b/c", 3), Some(("a/b/c", None)));
        assert_eq!(split_elements("a/b/c", 4), None);
        assert_eq!(split_elements("a/", 1), Some(("a", Some(""))));
        assert_eq!(split_elements("", 1), Some(("", None)));
    }

    #[test]
    fn a_way_without_a_fork_is_one_step() {
        let mut sketch = Sketch::default();
        let host = sketch.child(EXACT_HOSTS, "host");
        for (rank, path) in [["a", "b", "c"], ["a", "b", "d"]].iter().enumerate() {
            let node = path
                .iter()
                .fold(host, |node, element| sketch.child(node, element));
            sketch.spans(node).prefix = Span {
                start: rank as u32,
                end: rank as u32 + 1,
            };
        }
        let trie = sketch.finish(|_| None);
        let host = trie.child(EXACT_HOSTS, "host").unwrap();
        assert_eq!(trie.node(host).stride, 3);
        assert!(trie.child(host, "a/b/d").is_some() && trie.child(host, "a").is_none());
    }

    proptest! {
        #[test]
        fn leads_to_the_longest_way_known(
            paths in prop::collection::vec(prop::collection::vec("[ab]{0,2}|c{30,40}", 0..5), 0..40),
            asked in prop::collection::vec(prop::collection::vec("[ab]{0,2}|c{30,40}", 1..5), 0..40),
        ) {
            let mut sketch = Sketch::default();
            for (rank, path) in paths.iter().enumerate() {
                let host = sketch.child(EXACT_HOSTS, "host");
                let node = path.iter().fold(host, |node, element| sketch.child(node, element));
                sketch.spans(node).prefix = Span { start: rank as u32, end: rank as u32 + 1 };
            }
            let trie = sketch.finish(|_| None);
            let Some(host) = trie.child(EXACT_HOSTS, "host") else {
                prop_assert!(paths.is_empty());
                return Ok(());
            };
            let rank_of = |path: &[String]| paths.iter().rposition(|known| known == path).map(|rank| rank as u32);
            for path in paths.iter().filter(|path| !path.is_empty()).chain(&asked) {
                let (mut node, whole) = trie.descend(host, &format!("/{}", path.join("/")));
                prop_assert!(whole || rank_of(path).is_none());
                let mut found = Vec::new();
                while node != NO_NODE {
                    let span = trie.node(node).spans.prefix;
                    found.extend(span.indices().map(|rank| rank as u32));
                    node = trie.node(node).shorter;
                }
                let known: Vec<_> = (0..=path.len()).rev().filter_map(|length| rank_of(&path[..length])).collect();
                prop_assert_eq!(found, known);
            }
        }
    }
}
