//! Why a rule did or did not take a request.
//!
//! Owns the words of an explanation and the filling of the gaps that the index leaves. Refuses to decide: the
//! search is the one in the parent.

use sluice_config::model::HostPattern;

use super::{
    RouteTable,
    condition::{Test, host_matches, path_matches},
};
use crate::RequestView;

/// One way for one rule to take a request, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Considered<'t> {
    /// Its place in the listener's order of precedence, from 0.
    pub rank: usize,
    /// Index in the model's routes.
    pub route: usize,
    /// Index in the route's rules.
    pub rule: usize,
    /// The host of the route that it stands for; `None` if the route serves every host.
    pub host: Option<&'t HostPattern>,
    /// Index in the rule's matches; `None` if the rule has none and takes every request.
    pub match_index: Option<usize>,
    /// What became of it.
    pub verdict: Verdict<'t>,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// It takes the request.
    Won,
    /// It would, but one before it does.
    Outranked,
    /// It does not; this is the first test that failed.
    Failed(Test<'t>),
}

/// Told of each candidate that a search tries, in order of precedence, the winner last.
///
/// Not told of what the index passes over: rules of other hosts and, but for regular expressions, other paths.
pub trait Watch<'t> {
    /// One was tried.
    fn considered(&mut self, considered: Considered<'t>);
}

/// Looks away, at no cost.
impl Watch<'_> for () {
    #[inline(always)]
    fn considered(&mut self, _: Considered<'_>) {}
}

impl<'t> Watch<'t> for Vec<Considered<'t>> {
    fn considered(&mut self, considered: Considered<'t>) {
        self.push(considered);
    }
}

pub(super) fn explain<'t>(table: &'t RouteTable, request: &impl RequestView) -> Vec<Considered<'t>> {
    let mut tried = Vec::new();
    table.find_watched(request, &mut tried);
    let mut tried = tried.into_iter().peekable();
    (0..table.candidates.len())
        .map(|rank| {
            let told = tried.next_if(|considered| considered.rank == rank);
            told.unwrap_or_else(|| table.considered(rank, passed_over(table, rank, request)))
        })
        .collect()
}

/// The verdict on a candidate that the search did not try.
pub(super) fn passed_over<'t>(table: &'t RouteTable, rank: usize, request: &impl RequestView) -> Verdict<'t> {
    let origin = &table.origins[rank];
    if !host_matches(origin.host.as_ref(), request.host()) {
        Verdict::Failed(Test::Host)
    } else if !path_matches(origin.path.as_ref(), request.path()) {
        Verdict::Failed(Test::Path)
    } else {
        let failed = table.candidates[rank].failed(request);
        failed.map_or(Verdict::Outranked, Verdict::Failed)
    }
}
