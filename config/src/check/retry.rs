//! Retries.

use super::{Checker, each};
use crate::{
    defaults,
    model::{Retry, RetryOn},
    spec,
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn retry(&mut self, at: NodeId, spec: &spec::Retry) -> Option<Retry> {
        let (backoff_base, backoff_max) = spec.backoff.nested(|backoff| {
            let base = backoff
                .base
                .read_or(defaults::RETRY_BACKOFF_BASE, |wait| wait.0)?;
            let max = backoff.max.read_or(defaults::RETRY_BACKOFF_MAX, |wait| wait.0)?;
            if base > max {
                let at = backoff.max.node().or_else(|| backoff.base.node()).unwrap_or(at);
                self.error(
                    at,
                    format!("the longest wait, {max}, is shorter than the first, {base}"),
                );
            }
            Some((base, max))
        })?;
        let (budget_percent, budget_per_second) = spec.budget.nested(|budget| {
            let percent = budget.percent.number_or(defaults::RETRY_BUDGET_PERCENT)?;
            Some((
                percent,
                budget
                    .min_per_second
                    .number_or(defaults::RETRY_BUDGET_PER_SECOND)?,
            ))
        })?;
        let on = match spec.on.value() {
            Some(list) => each(&list.0, |_, on| Some(on.0))?,
            None if spec.on.node().is_none() => vec![RetryOn::ConnectFailure, RetryOn::Reset],
            None => return None,
        };
        Some(Retry {
            attempts: spec.attempts.number_or(defaults::RETRY_ATTEMPTS)?,
            on,
            backoff_base,
            backoff_max,
            budget_percent,
            budget_per_second,
            body_limit: spec
                .body_limit
                .read_or(defaults::RETRY_BODY_LIMIT, |size| size.0)?,
            unsafe_methods: spec.unsafe_methods.read_or(false, |flag| flag.0)?,
        })
    }
}
