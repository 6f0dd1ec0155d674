//! Counters of methods of gRPC, as one worker finds them again.

use std::{cell::RefCell, collections::HashMap};

use crate::metrics::{GrpcMethods, MethodCounters, PerWorker};

/// Those of one service.
pub(super) struct Methods {
    shared: PerWorker<GrpcMethods>,
    /// Most that are counted each by itself.
    most: u16,
    /// By path; with none those of all others.
    known: RefCell<HashMap<Box<str>, PerWorker<MethodCounters>, foldhash::fast::RandomState>>,
}

impl Methods {
    pub(super) fn new(shared: PerWorker<GrpcMethods>, most: u16) -> Self {
        Self {
            shared,
            most,
            known: RefCell::default(),
        }
    }

    /// The counters for a call with this path, `named` if the method is known to be one.
    pub(super) fn of(&self, path: &str, named: bool, workers: usize) -> PerWorker<MethodCounters> {
        let mut known = self.known.borrow_mut();
        let key = if named { path } else { "" };
        if let Some(counters) = known.get(path).or_else(|| known.get(key)) {
            return counters.clone();
        }
        let counters = self.shared.of(0).of(named.then_some(path), self.most, workers);
        if known.len() <= usize::from(self.most) {
            known.insert(key.into(), counters.clone());
        }
        counters
    }
}
