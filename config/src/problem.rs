//! What is wrong with a configuration, and where.
//!
//! Owns how a problem reads and how many are kept. Refuses to decide what is a problem.

use std::fmt;

use crate::{
    defaults::PROBLEMS_MAX,
    model::{Place, value::Invalid},
    tree::{NodeId, Tree},
};

/// One thing that is wrong, or, as a warning, probably not meant.
///
/// Displayed as `file:line:column: path: reason (did you mean "x"?)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The path from the document: `routes[0].rules[1].backends[0].service`; empty for the whole document.
    pub path: String,
    /// What is wrong, without the path.
    pub reason: String,
    /// What was probably meant, where something close is known.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " (did you mean {suggestion:?}?)"),
            None => Ok(()),
        }
    }
}

/// Problems and warnings, gathered while a configuration is read and checked.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    unkept: usize,
}

#[derive(Debug)]
struct Finding {
    node: NodeId,
    what: Invalid,
}

impl Findings {
    /// Keeps a problem at a node.
    pub(crate) fn error(&mut self, node: NodeId, what: Invalid) {
        if self.errors.len() < PROBLEMS_MAX {
            self.errors.push(Finding { node, what });
        } else {
            self.unkept += 1;
        }
    }

    /// Keeps a warning at a node.
    pub(crate) fn warn(&mut self, node: NodeId, reason: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(Finding {
                node,
                what: Invalid::because(reason),
            });
        }
    }

    /// Whether any problem was found.
    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Every problem and every warning kept, in the order of files and lines.
    pub(crate) fn into_problems(self, tree: &Tree) -> (Vec<Problem>, Vec<Problem>) {
        let mut errors = in_order(self.errors, tree);
        if let (Some(last), true) = (errors.last().cloned(), self.unkept > 0) {
            errors.push(Problem {
                reason: format!("and {} more problems, not shown", self.unkept),
                path: String::new(),
                suggestion: None,
                ..last
            });
        }
        (errors, in_order(self.warnings, tree))
    }
}

fn in_order(findings: Vec<Finding>, tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<(usize, Problem)> = findings
        .into_iter()
        .map(
            |Finding {
                 node,
                 what: Invalid { reason, suggestion },
             }| {
                let problem = Problem {
                    place: tree.place(node),
                    path: tree.path(node),
                    reason,
                    suggestion,
                };
                (tree.file_number(node), problem)
            },
        )
        .collect();
    problems.sort();
    problems.dedup();
    problems.into_iter().map(|(_, problem)| problem).collect()
}
