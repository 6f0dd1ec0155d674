//! A path has one normal form: without dot segments and double slashes, and the same when normalised again. A
//! refused one leaves nothing behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_config::{model::PathPolicy, path::normalize_path};

fuzz_target!(|path: &str| {
    for keep_encoded_slashes in [false, true] {
        let policy = PathPolicy { keep_encoded_slashes };
        let mut form = String::new();
        if normalize_path(path, policy, &mut form).is_err() {
            assert!(form.is_empty());
            continue;
        }
        assert!(form.starts_with('/'));
        assert!(
            form.bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"\\#?".contains(&byte))
        );
        assert!(!form.contains("//"));
        assert!(form.split('/').all(|segment| segment != "." && segment != ".."));
        assert!(!form.contains("%00"));
        assert!(keep_encoded_slashes || !(form.contains("%2F") || form.contains("%5C")));
        let mut again = String::new();
        assert_eq!(normalize_path(&form, policy, &mut again), Ok(()));
        assert_eq!(again, form);
    }
});
