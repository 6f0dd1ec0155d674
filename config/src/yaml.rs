//! YAML text to [`Tree`]: what stands where.
//!
//! Two parsers read each text. A first one gives the [`outline`]: the shape of the documents and the place of
//! every key and value. Then `serde_yaml` gives the [`fill`]: what the scalars are. Both must agree, so a text
//! that tools read differently is refused, and a mistake of the first parser can only be a wrong place, never
//! a wrong meaning.
//!
//! Owns syntax and its bounds: size, depth, aliases, duplicate keys. Refuses tags and keys that are not text.

mod fill;
mod outline;

use crate::{
    Source,
    defaults::SOURCE_BYTES_MAX,
    model::value::Invalid,
    problem::Findings,
    tree::{Content, Mark, NodeId, Step, Tree},
};

/// Adds the documents of all sources to `tree` and gives their roots. A source that is no YAML gives one
/// problem and no document.
pub(crate) fn parse(sources: &[Source], tree: &mut Tree, findings: &mut Findings) -> Vec<NodeId> {
    let mut documents = Vec::new();
    let mut bytes = 0_usize;
    for source in sources {
        let file = tree.add_file(&source.name);
        bytes = bytes.saturating_add(source.text.len());
        let read = if bytes > SOURCE_BYTES_MAX {
            let reason = format!("all sources together have more than {SOURCE_BYTES_MAX} bytes");
            Err(Fault {
                mark: START,
                what: Invalid::because(reason),
            })
        } else {
            read(&source.text, file, tree, findings)
        };
        match read {
            Ok(roots) => documents.extend(roots),
            Err(Fault { mark, what }) => {
                let here = tree.add(Step::Document(file), mark, Content::Null);
                findings.error(here, what);
            }
        }
    }
    documents
}

fn read(text: &str, file: u32, tree: &mut Tree, findings: &mut Findings) -> Result<Vec<NodeId>, Fault> {
    let roots = outline::outline(text, file, tree)?;
    fill::fill(text, &roots, tree, findings)?;
    Ok(roots)
}

/// What ends the reading of a source.
struct Fault {
    mark: Mark,
    what: Invalid,
}

/// Where a text begins.
const START: Mark = Mark { line: 1, column: 1 };

#[cfg(test)]
mod tests;
