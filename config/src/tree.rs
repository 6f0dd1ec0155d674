//! The YAML of all sources as one tree of nodes, each of which knows where it stands.
//!
//! Owns places and paths. Refuses to know what the nodes mean.

use crate::model::Place;

/// Every node of every document.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<String>,
    nodes: Vec<Node>,
}

/// A node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

/// One value or key.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) step: Step,
    pub(crate) mark: Mark,
    pub(crate) content: Content,
}

/// How a node hangs from the one above.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The root of a document, by the number of its file.
    Document(u32),
    /// An item of a list, by its index.
    Item(NodeId, u32),
    /// A key of a map.
    Key(NodeId),
    /// The value of a key.
    Value(NodeId),
}

/// Line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Whole(i64),
    /// Any other number.
    Float(f64),
    Text(String),
    List(Vec<NodeId>),
    Map(Vec<Entry>),
}

/// One key of a map and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: NodeId,
    pub(crate) value: NodeId,
}

impl Tree {
    /// Adds a source and gives the number its documents name it by.
    pub(crate) fn add_file(&mut self, name: &str) -> u32 {
        self.files.push(name.to_owned());
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a node. The caller bounds how many (`YAML_NODES_MAX` is far below what an id holds).
    pub(crate) fn add(&mut self, step: Step, mark: Mark, content: Content) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { step, mark, content });
        id
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn content(&self, id: NodeId) -> &Content {
        &self.node(id).content
    }

    pub(crate) fn content_mut(&mut self, id: NodeId) -> &mut Content {
        &mut self.nodes[id.0 as usize].content
    }

    /// The text of a key; empty for any other node but text.
    pub(crate) fn text(&self, id: NodeId) -> &str {
        match self.content(id) {
            Content::Text(text) => text,
            _ => "",
        }
    }

    /// The value of `key` in the map `id`, if it is one and has it.
    pub(crate) fn get(&self, id: NodeId, key: &str) -> Option<Entry> {
        match self.content(id) {
            Content::Map(entries) => entries.iter().copied().find(|entry| self.text(entry.key) == key),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self, id: NodeId) -> Vec<NodeId> {
        match self.content(id) {
            Content::List(items) => items.clone(),
            _ => Vec::new(),
        }
    }

    /// Where a node stands.
    pub(crate) fn place(&self, id: NodeId) -> Place {
        let Mark { line, column } = self.node(id).mark;
        Place {
            file: self.files[self.file_number(id)].clone(),
            line,
            column,
        }
    }

    /// The path from its document to a node: `routes[0].rules[1].name`; empty for the document itself.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = id;
        loop {
            let step = self.node(at).step;
            match step {
                Step::Document(_) => break,
                Step::Item(above, index) => {
                    steps.push(format!("[{index}]"));
                    at = above;
                }
                Step::Key(above) => {
                    steps.push(key_step(self.text(at)));
                    at = above;
                }
                Step::Value(key) => at = key,
            }
        }
        let path: String = steps.into_iter().rev().collect();
        path.strip_prefix('.').unwrap_or(&path).to_owned()
    }

    /// The number of the file a node is in, in the order the sources were given.
    pub(crate) fn file_number(&self, id: NodeId) -> usize {
        let mut at = id;
        loop {
            match self.node(at).step {
                Step::Document(file) => return file as usize,
                Step::Item(above, _) | Step::Key(above) | Step::Value(above) => at = above,
            }
        }
    }
}

fn key_step(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(plain) {
        format!(".{key}")
    } else {
        format!("[{key:?}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_knows_its_place_and_path() {
        let mut tree = Tree::default();
        let file = tree.add_file("a.yaml");
        let mark = |line, column| Mark { line, column };
        let root = tree.add(Step::Document(file), mark(1, 1), Content::Null);
        let key = tree.add(Step::Key(root), mark(1, 1), Content::Text("routes".into()));
        let list = tree.add(Step::Value(key), mark(2, 1), Content::Null);
        let item = tree.add(Step::Item(list, 3), mark(2, 3), Content::Null);
        let odd = tree.add(Step::Key(item), mark(2, 3), Content::Text("x.y".into()));
        let value = tree.add(Step::Value(odd), mark(2, 8), Content::Null);
        assert_eq!(tree.path(value), "routes[3][\"x.y\"]");
        assert_eq!(tree.path(root), "");
        assert_eq!(tree.path(list), "routes");
        assert_eq!(tree.place(value).to_string(), "a.yaml:2:8");
    }
}
