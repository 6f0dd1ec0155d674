//! The shape of a YAML text: nodes and their places. Scalars stay the text they are written in.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Marker, Parser, ScanError, Span, StrInput, Tag};

use super::Fault;
use crate::{
    defaults::{YAML_DEPTH_MAX, YAML_NODES_MAX},
    model::value::Invalid,
    tree::{Content, Entry, Mark, NodeId, Step, Tree},
};

/// Adds every document of `text` to `tree`.
pub(super) fn outline(text: &str, file: u32, tree: &mut Tree) -> Result<Vec<NodeId>, Fault> {
    let mut outline = Outline {
        tree,
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        roots: Vec::new(),
    };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        if matches!(event, Event::StreamEnd) {
            break;
        }
        outline.take(event, span)?;
    }
    Ok(outline.roots)
}

struct Outline<'t> {
    tree: &'t mut Tree,
    file: u32,
    /// The lists and maps begun and not ended, outermost first.
    open: Vec<Open>,
    /// What each anchor of this document names, once it has ended.
    anchors: HashMap<usize, NodeId>,
    roots: Vec<NodeId>,
}

struct Open {
    node: NodeId,
    anchor: usize,
    /// In a map: the key read last, whose value comes next.
    key: Option<NodeId>,
}

impl Outline<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let mark = mark(span.start);
        match event {
            Event::DocumentStart(_) => self.anchors.clear(),
            Event::Scalar(text, _, anchor, tag) => {
                check_tag(tag.as_ref(), mark)?;
                self.scalar(text.into_owned(), span, anchor)?;
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_ref(), mark)?;
                self.begin(Content::List(Vec::new()), mark, anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_ref(), mark)?;
                self.begin(Content::Map(Vec::new()), mark, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { node, anchor, .. }) = self.open.pop() {
                    self.name(anchor, node);
                }
            }
            Event::Alias(anchor) => self.alias(anchor, mark)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: String, span: Span, anchor: usize) -> Result<(), Fault> {
        let mut place = mark(span.start);
        match self.open.last() {
            Some(Open { node, key: None, .. }) if self.is_map(*node) => {
                let map = *node;
                let key = self.add(Step::Key(map), place, Content::Text(text))?;
                self.name(anchor, key);
                if let Some(open) = self.open.last_mut() {
                    open.key = Some(key);
                }
                return Ok(());
            }
            // Where nothing is written the parser tells the place of what comes next; the key is closer.
            Some(Open { key: Some(key), .. }) if span.start == span.end => place = self.tree.node(*key).mark,
            _ => {}
        }
        let node = self.place(place, Content::Text(text))?;
        self.name(anchor, node);
        Ok(())
    }

    fn begin(&mut self, content: Content, mark: Mark, anchor: usize) -> Result<(), Fault> {
        if self.open.len() >= YAML_DEPTH_MAX {
            return Err(fault(mark, format!("nested more than {YAML_DEPTH_MAX} deep")));
        }
        let node = self.place(mark, content)?;
        self.open.push(Open {
            node,
            anchor,
            key: None,
        });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Fault> {
        let Some(&original) = self.anchors.get(&anchor) else {
            return Err(fault(mark, "an alias inside what it names"));
        };
        let depth = self.open.len();
        let copy = self.place(mark, Content::Null)?;
        self.copy(original, copy, depth)
    }

    /// Copies what `original` holds into `copy`. Below the alias itself, nodes keep the place they were
    /// written at.
    fn copy(&mut self, original: NodeId, copy: NodeId, depth: usize) -> Result<(), Fault> {
        let place = self.tree.node(copy).mark;
        if depth > YAML_DEPTH_MAX {
            return Err(fault(place, format!("nested more than {YAML_DEPTH_MAX} deep")));
        }
        let content = match self.tree.content(original).clone() {
            Content::List(items) => {
                let mut copies = Vec::with_capacity(items.len());
                for (index, item) in (0..).zip(items) {
                    let mark = self.tree.node(item).mark;
                    let to = self.add(Step::Item(copy, index), mark, Content::Null)?;
                    self.copy(item, to, depth + 1)?;
                    copies.push(to);
                }
                Content::List(copies)
            }
            Content::Map(entries) => {
                let mut copies = Vec::with_capacity(entries.len());
                for entry in entries {
                    let (key, value) = (self.tree.node(entry.key), self.tree.node(entry.value).mark);
                    let (key_mark, key_content) = (key.mark, key.content.clone());
                    let key = self.add(Step::Key(copy), key_mark, key_content)?;
                    let to = self.add(Step::Value(key), value, Content::Null)?;
                    self.copy(entry.value, to, depth + 1)?;
                    copies.push(Entry { key, value: to });
                }
                Content::Map(copies)
            }
            scalar => scalar,
        };
        *self.tree.content_mut(copy) = content;
        Ok(())
    }

    /// Adds a value where the text has come to: a document, the next item of a list, or a key's value.
    fn place(&mut self, mark: Mark, content: Content) -> Result<NodeId, Fault> {
        let Some(open) = self.open.last_mut() else {
            let root = self.add(Step::Document(self.file), mark, content)?;
            self.roots.push(root);
            return Ok(root);
        };
        let above = open.node;
        let key = open.key.take();
        let index = match self.tree.content(above) {
            Content::List(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        let step = match key {
            Some(key) => Step::Value(key),
            None if self.is_map(above) => return Err(fault(mark, "a key is text")),
            None => Step::Item(above, index),
        };
        let node = self.add(step, mark, content)?;
        match (self.tree.content_mut(above), key) {
            (Content::Map(entries), Some(key)) => entries.push(Entry { key, value: node }),
            (Content::List(items), _) => items.push(node),
            _ => {}
        }
        Ok(node)
    }

    fn add(&mut self, step: Step, mark: Mark, content: Content) -> Result<NodeId, Fault> {
        if self.tree.len() >= YAML_NODES_MAX {
            return Err(fault(
                mark,
                format!("more than {YAML_NODES_MAX} YAML nodes, aliases expanded"),
            ));
        }
        Ok(self.tree.add(step, mark, content))
    }

    fn name(&mut self, anchor: usize, node: NodeId) {
        // The parser numbers anchors from 1; 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, node);
        }
    }

    fn is_map(&self, node: NodeId) -> bool {
        matches!(self.tree.content(node), Content::Map(_))
    }
}

fn check_tag(tag: Option<&Cow<'_, Tag>>, mark: Mark) -> Result<(), Fault> {
    match tag {
        Some(tag) => Err(fault(mark, format!("a tag (`{tag}`) has no meaning here"))),
        None => Ok(()),
    }
}

fn mark(marker: Marker) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    // The parser counts lines from 1 and columns from 0.
    Mark {
        line: number(marker.line()),
        column: number(marker.col() + 1),
    }
}

fn not_yaml(error: &ScanError) -> Fault {
    fault(mark(*error.marker()), format!("no YAML: {}", error.info()))
}

fn fault(mark: Mark, reason: impl Into<String>) -> Fault {
    Fault {
        mark,
        what: Invalid::because(reason),
    }
}
