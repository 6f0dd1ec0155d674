//! Calls of gRPC by method: a bounded number of names that clients send, and what came of each.
//!
//! Owns which methods have a name. The lock is taken where a worker meets a name for the first time, not for each call.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sluice_config::model::GrpcStatus;

use super::{Counter, Histogram, PerWorker, page::sum};

/// The calls of one method.
#[derive(Debug, Default)]
pub struct MethodCounters {
    by_status: [Counter; STATUSES],
    pub(super) duration: Histogram,
}

impl MethodCounters {
    /// Counts one that has ended.
    pub fn count(&self, status: GrpcStatus, duration: Duration) {
        self.by_status[usize::from(status.0).min(STATUSES - 1)].inc();
        self.duration.observe(duration);
    }
}

/// The methods of one service, in all workers.
#[derive(Debug, Default)]
pub struct GrpcMethods(Mutex<Methods>);

#[derive(Debug, Default)]
struct Methods {
    /// By path.
    named: BTreeMap<String, PerWorker<MethodCounters>>,
    others: Option<PerWorker<MethodCounters>>,
}

/// A method as it is told.
pub(super) struct Method {
    pub(super) service: String,
    pub(super) method: String,
    pub(super) series: PerWorker<MethodCounters>,
}

impl GrpcMethods {
    /// The counters of the method with this path, if it has a name or there is room for one more than `most`; else those of
    /// all others, as `None` asks for.
    #[must_use]
    pub fn of(&self, path: Option<&str>, most: u16, workers: usize) -> PerWorker<MethodCounters> {
        let mut methods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = path.filter(|path| path.len() <= PATH_BYTES_MAX && names(path).is_some());
        if let Some(path) = named {
            if let Some(known) = methods.named.get(path) {
                return known.clone();
            }
            if methods.named.len() < usize::from(most) {
                let new = PerWorker::new(workers);
                methods.named.insert(path.to_owned(), new.clone());
                return new;
            }
        }
        let others = &mut methods.others;
        others.get_or_insert_with(|| PerWorker::new(workers)).clone()
    }

    /// Each method with its counters; `other` stands for those without a name.
    pub(super) fn told(&self) -> Vec<Method> {
        let methods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = methods.named.iter().map(|(path, series)| (path.as_str(), series));
        let others = methods.others.iter().map(|series| ("/other/other", series));
        let told = named.chain(others).filter_map(|(path, series)| {
            let (service, method) = names(path)?;
            Some(Method {
                service: service.to_owned(),
                method: method.to_owned(),
                series: series.clone(),
            })
        });
        told.collect()
    }
}

impl Method {
    /// How often its calls ended with each status there was.
    pub(super) fn by_status(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.iter().enumerate().filter_map(|(index, name)| {
            let count = sum(&self.series, |counters| &counters.by_status[index]);
            (count > 0).then_some((*name, count))
        })
    }
}

/// The names in `/package.Service/Method`.
fn names(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let is_one = !service.is_empty() && !method.is_empty() && !method.contains('/');
    is_one.then_some((service, method))
}

/// Those that gRPC knows, by number, and one for all others.
const NAMES: [&str; 18] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "other",
];
const STATUSES: usize = NAMES.len();
/// No name that somebody has written is longer.
const PATH_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_methods_have_a_name_and_no_more() {
        let methods = GrpcMethods::default();
        for path in [
            "/a.A/One",
            "/a.A/Two",
            "/a.A/Three",
            "/a.A/One",
            "nonsense",
            "/a/b/c",
        ] {
            let series = methods.of(Some(path), 2, 1);
            series.of(0).count(GrpcStatus(0), Duration::ZERO);
        }
        let series = methods.of(None, 2, 1);
        series.of(0).count(GrpcStatus(12), Duration::ZERO);
        let told = methods.told();
        let told: Vec<_> = told
            .iter()
            .map(|method| {
                let counts: Vec<_> = method.by_status().collect();
                (method.service.as_str(), method.method.as_str(), counts)
            })
            .collect();
        let expected = [
            ("a.A", "One", vec![("0", 2)]),
            ("a.A", "Two", vec![("0", 1)]),
            ("other", "other", vec![("0", 3), ("12", 1)]),
        ];
        assert_eq!(told, expected);
    }
}
