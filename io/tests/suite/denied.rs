//! A kernel that denies io_uring, as the default seccomp profiles of containers do.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use sluice_io::{DriverChoice, DriverKind, Options, Runtime, StartError};

use crate::harness::{HOSTED, alone, open_descriptors};

/// Runs `test` on a thread of its own, on which io_uring_setup fails with `error`.
fn denied(error: i32, test: impl FnOnce() + Send) {
    let _alone = alone();
    let rules = BTreeMap::from([(libc::SYS_io_uring_setup, Vec::new())]);
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let deny = SeccompAction::Errno(error as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, deny, arch).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    std::thread::scope(|scope| {
        let restricted = scope.spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            test();
        });
        restricted.join().unwrap();
    });
}

fn start(driver: DriverChoice) -> Result<Runtime, StartError> {
    Runtime::new(&Options {
        driver,
        ..Options::default()
    })
}

#[test]
fn auto_chooses_epoll_and_says_why() {
    for (error, words) in [
        (libc::EPERM, "Operation not permitted"),
        (libc::ENOSYS, "not implemented"),
    ] {
        denied(error, || {
            let runtime = start(DriverChoice::Auto).unwrap();
            assert_eq!(runtime.driver().kind, DriverKind::Epoll);
            let reason = runtime.driver().fallback_reason.as_deref().unwrap();
            assert!(
                reason.starts_with("io_uring_setup: ") && reason.contains(words),
                "{reason}"
            );
            runtime.block_on(async {});
        });
    }
}

#[test]
fn io_uring_by_name_is_refused_with_the_reason() {
    denied(libc::EPERM, || {
        let error = start(DriverChoice::Uring).unwrap_err();
        assert_eq!((error.driver, error.step), (DriverKind::Uring, "io_uring_setup"));
        assert_eq!(error.source.raw_os_error(), Some(libc::EPERM));
        assert!(error.to_string().contains("Operation not permitted"), "{error}");
    });
}

#[test]
fn epoll_by_name_needs_no_reason() {
    denied(libc::EPERM, || {
        let runtime = start(DriverChoice::Epoll).unwrap();
        assert_eq!(
            (runtime.driver().kind, &runtime.driver().fallback_reason),
            (DriverKind::Epoll, &None)
        );
    });
}

#[test]
fn the_bases_of_others_are_refused_with_the_reason_and_leave_nothing() {
    for &driver in HOSTED {
        denied(libc::EPERM, || {
            let before = open_descriptors();
            let error = start(driver).unwrap_err();
            assert_eq!(error.step, "io_uring_setup");
            assert_eq!(error.source.raw_os_error(), Some(libc::EPERM));
            assert_eq!(open_descriptors(), before);
        });
    }
}
