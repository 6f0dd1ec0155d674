//! The configuration language: YAML text in, a checked [`Model`] out.
//!
//! Text becomes a tree of nodes that know their places (`yaml`, `tree`), the tree becomes typed fields (`reader`,
//! `spec`), and the fields become a [`Model`] in which every reference is resolved (`check`). Each step reports
//! all it finds wrong and goes on, so that a user sees every problem of every file in one go.
//!
//! Owns the native language, its defaults and its words for mistakes. Refuses to touch files, sockets, clocks or
//! the environment: the caller hands in text.

mod check;
pub mod defaults;
pub mod model;
pub mod path;
mod problem;
mod reader;
mod spec;
mod tree;
mod yaml;

use std::cell::RefCell;

use serde::Deserialize as _;

pub use model::Model;
use problem::Findings;
pub use problem::Problem;
use reader::Reader;
use spec::{Document, Slot};
use tree::{Content, Mark, NodeId, Step, Tree};

/// One file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What to call it in problems and places: a path, usually.
    pub name: String,
    /// What it holds: any number of YAML documents.
    pub text: String,
}

/// What came of loading a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration, or every problem found (at least one), in the order of files and lines.
    pub model: Result<Model, Vec<Problem>>,
    /// What loads but was probably not meant. Empty when there are problems.
    pub warnings: Vec<Problem>,
}

/// Reads and checks all documents of all `sources` as one configuration.
#[must_use]
pub fn load(sources: &[Source]) -> Loaded {
    let mut tree = Tree::default();
    let mut findings = Findings::default();
    let roots = yaml::parse(sources, &mut tree, &mut findings);
    let findings = RefCell::new(findings);
    let documents: Vec<(NodeId, Document)> = roots
        .into_iter()
        .filter_map(|root| document(root, &tree, &findings))
        .collect();
    let mut findings = findings.into_inner();
    let model = check::check(&documents, &tree, &mut findings);
    if model.is_none() && !findings.has_errors() {
        // Nothing but comments, or nothing at all.
        let name = sources
            .first()
            .map_or("configuration", |source| source.name.as_str());
        let file = tree.add_file(name);
        let nowhere = tree.add(Step::Document(file), Mark { line: 1, column: 1 }, Content::Null);
        findings.error(
            nowhere,
            model::value::Invalid::because("there is no listener: nothing would be served"),
        );
    }
    let (errors, warnings) = findings.into_problems(&tree);
    match model {
        Some(model) => Loaded {
            model: Ok(model),
            warnings,
        },
        None => Loaded {
            model: Err(errors),
            warnings: Vec::new(),
        },
    }
}

/// The JSON Schema (2020-12) of one native document.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

impl Model {
    /// Loads one text, called `sluice.yaml` in places; warnings are dropped.
    ///
    /// # Errors
    /// Every problem found.
    pub fn from_yaml(text: &str) -> Result<Self, Vec<Problem>> {
        load(&[Source {
            name: "sluice.yaml".to_owned(),
            text: text.to_owned(),
        }])
        .model
    }
}

/// Reads one document; none if it is empty, or nothing of it could be read.
fn document(root: NodeId, tree: &Tree, findings: &RefCell<Findings>) -> Option<(NodeId, Document)> {
    if matches!(tree.content(root), Content::Null) {
        return None;
    }
    if let (Some(_), Some(kind)) = (tree.get(root, "apiVersion"), tree.get(root, "kind")) {
        let kind = tree.text(kind.value);
        let reason = format!("a Kubernetes object (`{kind}`): this version reads native documents only");
        findings
            .borrow_mut()
            .error(root, model::value::Invalid::because(reason));
        return None;
    }
    match Slot::deserialize(Reader::new(tree, root, findings)) {
        Ok(Slot::Given(_, document)) => Some((root, document)),
        // Reported by the reader.
        Ok(Slot::Absent | Slot::Wrong(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
