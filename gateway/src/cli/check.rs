//! `sluice check` and `sluice explain`: what a configuration says, without running it.
//!
//! Owns the reading of a configuration for the commands. Refuses to judge it: that is the loader's.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sluice_config::Model;

use super::{Failure, print};
use crate::{
    admin::explain::{Question, explain as explain_request},
    app,
};

/// Loads a configuration; warnings go to standard error.
///
/// # Errors
/// Every problem of the text, or why it cannot be read.
pub(super) fn load(paths: &[PathBuf]) -> Result<Model, Failure> {
    let sources = app::read(paths).map_err(|error| Failure::Config(vec![error.to_string()]))?;
    let loaded = sluice_config::load(&sources);
    for warning in loaded.warnings {
        // With standard error closed, there is nobody to warn.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    loaded
        .model
        .map_err(|problems| Failure::Config(problems.iter().map(ToString::to_string).collect()))
}

pub(super) fn check(paths: &[PathBuf]) -> Result<(), Failure> {
    let model = load(paths)?;
    for warning in app::check_material(&model).map_err(Failure::Config)? {
        // As above.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    let rules: usize = model.routes.iter().map(|route| route.rules.len()).sum();
    let policies = match model.policies.len() {
        0 => String::new(),
        1 => ", 1 policy".to_owned(),
        number => format!(", {number} policies"),
    };
    print(&format!(
        "good: {}, {} with {}, {}{policies}",
        count(model.listeners.len(), "listener"),
        count(model.routes.len(), "route"),
        count(rules, "rule"),
        count(model.services.len(), "service"),
    ));
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn explain(path: &Path, question: &Question, json: bool) -> Result<(), Failure> {
    let model = load(&[path.to_owned()])?;
    let explanation = explain_request(&model, question).map_err(|error| Failure::Usage(error.to_string()))?;
    if json {
        let text = serde_json::to_string_pretty(&explanation);
        print(&text.map_err(|error| Failure::Run(error.to_string()))?);
    } else {
        print(&explanation.to_string());
    }
    Ok(())
}
