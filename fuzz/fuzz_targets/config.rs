//! Any text is a configuration or a list of problems, each with a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_config::Model;

fuzz_target!(|text: &str| {
    if let Err(problems) = Model::from_yaml(text) {
        assert!(!problems.is_empty(), "a refused configuration says why");
    }
});
