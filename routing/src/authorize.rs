//! Policies: whether a request may pass at one place.
//!
//! Owns the order of decisions. A request is put to what is attached to its listener, its route and the service it is
//! sent to, each by itself, and must pass all three. At each: a policy that denies ends it; then, if any policy there
//! allows, one of them must; what audits or runs dry is told and decides nothing.
//!
//! Refuses to know who is told, and what a client is answered.

mod criteria;

use sluice_config::model::{Model, Policy, PolicyAction, PolicyId, PolicyTarget};

use crate::RequestView;
pub use criteria::Unmet;

/// The policies attached to one listener, route or service. Never changes.
#[derive(Debug, Default)]
pub struct Policies(Vec<Attached>);

#[derive(Debug)]
struct Attached {
    id: PolicyId,
    policy: Policy,
}

/// What a policy did, or, run dry, would have done. Policies that did nothing are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Decision {
    /// It let the request pass.
    Allow,
    /// It denied it; one that allows denies what none of its kind matches, in the name of the first.
    Deny,
    /// It matches, and is there to tell so.
    Audit,
    /// It would have let it pass.
    DryRunAllow,
    /// It would have denied it.
    DryRunDeny,
}

/// What a policy makes of a request, for explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Considered {
    /// Which.
    pub policy: PolicyId,
    /// The list that has no entry for the request; `None` where the policy matches it.
    pub unmet: Option<Unmet>,
}

impl Policies {
    /// Gathers the policies whose target `is_here`.
    #[must_use]
    pub fn compile(model: &Model, is_here: impl Fn(&PolicyTarget) -> bool) -> Self {
        let policies = model.policies.iter().enumerate();
        let here = policies.filter(|(_, policy)| is_here(&policy.target));
        let attached = here.map(|(index, policy)| Attached {
            id: PolicyId(index),
            policy: policy.clone(),
        });
        Self(attached.collect())
    }

    /// Whether there is nothing to ask: then a request costs no more than this.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `request` may pass here. `tell` learns of each policy that did something. Allocates nothing but what
    /// joining the values of a header field that came several times takes.
    ///
    /// # Errors
    /// The policy that denies it.
    pub fn decide(
        &self,
        request: &impl RequestView,
        mut tell: impl FnMut(PolicyId, Decision),
    ) -> Result<(), PolicyId> {
        if self.is_empty() {
            return Ok(());
        }
        for audit in self.matching(PolicyAction::Audit, request) {
            tell(audit.id, Decision::Audit);
        }
        let mut denied = None;
        for deny in self.matching(PolicyAction::Deny, request) {
            if deny.policy.dry_run {
                tell(deny.id, Decision::DryRunDeny);
            } else if denied.is_none() {
                tell(deny.id, Decision::Deny);
                denied = Some(deny.id);
            }
        }
        match denied {
            Some(id) => Err(id),
            None => self.allow(request, tell),
        }
    }

    /// Every policy here, in the order of the files, with what it makes of `request`.
    pub fn consider(&self, request: &impl RequestView) -> Vec<Considered> {
        let consider = |attached: &Attached| Considered {
            policy: attached.id,
            unmet: criteria::unmet(&attached.policy, request),
        };
        self.0.iter().map(consider).collect()
    }

    /// What comes after no policy has denied it.
    fn allow(
        &self,
        request: &impl RequestView,
        mut tell: impl FnMut(PolicyId, Decision),
    ) -> Result<(), PolicyId> {
        let (real, dry) = (self.allowing(false, request), self.allowing(true, request));
        match dry {
            Some((id, true)) => tell(id, Decision::DryRunAllow),
            // What another allows for real, it would not have denied.
            Some((id, false)) if !matches!(real, Some((_, true))) => tell(id, Decision::DryRunDeny),
            Some(_) | None => {}
        }
        match real {
            None => Ok(()),
            Some((id, true)) => {
                tell(id, Decision::Allow);
                Ok(())
            }
            Some((id, false)) => {
                tell(id, Decision::Deny);
                Err(id)
            }
        }
    }

    /// The first policy that allows `request`, and true; or the first of those that could have, and false; or none where
    /// none is there. Those that run dry and the others are asked apart.
    fn allowing(&self, dry_run: bool, request: &impl RequestView) -> Option<(PolicyId, bool)> {
        let is_asked = |policy: &Policy| policy.action == PolicyAction::Allow && policy.dry_run == dry_run;
        let first = self.0.iter().find(|attached| is_asked(&attached.policy))?;
        let mut matching = self.matching(PolicyAction::Allow, request);
        let allowing = matching.find(|attached| attached.policy.dry_run == dry_run);
        Some(allowing.map_or((first.id, false), |attached| (attached.id, true)))
    }

    fn matching(&self, action: PolicyAction, request: &impl RequestView) -> impl Iterator<Item = &Attached> {
        self.0.iter().filter(move |attached| {
            attached.policy.action == action && criteria::unmet(&attached.policy, request).is_none()
        })
    }
}

impl Decision {
    /// Every decision, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Allow,
        Self::Deny,
        Self::Audit,
        Self::DryRunAllow,
        Self::DryRunDeny,
    ];

    /// As label and in the access log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Audit => "audit",
            Self::DryRunAllow => "dry_run_allow",
            Self::DryRunDeny => "dry_run_deny",
        }
    }
}

#[cfg(test)]
mod tests;
