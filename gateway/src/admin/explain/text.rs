//! An explanation for people.
//!
//! Owns the layout. Refuses to leave out a rule that could have taken the request: only rules for other hosts are
//! counted instead of listed.

use std::fmt;

use super::{AtPlace, Chosen, Explanation, OnListener, Outcome, Share, Tried};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", format!("{} {}", self.method, self.url).trim_start())?;
        self.listeners
            .iter()
            .try_for_each(|listener| write!(f, "\n{listener}"))
    }
}

impl fmt::Display for OnListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "on listener {} ({})", self.listener, self.bind)?;
        match &self.outcome {
            Outcome::Refused { status, rule } => writeln!(f, "  refused with {status}: {rule}"),
            Outcome::Tried {
                host,
                path,
                rules,
                source,
                policies,
                chosen,
            } => {
                writeln!(f, "  rules see host {host}, path {path}")?;
                write_rules(f, rules)?;
                write_policies(f, source, policies, "403")?;
                match chosen {
                    Some(chosen) => write!(f, "{chosen}"),
                    None => writeln!(f, "  no rule takes it: 404"),
                }
            }
            Outcome::PassedOn {
                server_name,
                rules,
                source,
                policies,
                backends,
            } => {
                let name = server_name.as_deref().unwrap_or("no server name");
                writeln!(f, "  passed on unread, rules see {name}")?;
                write_rules(f, rules)?;
                write_policies(f, source, policies, "closed")?;
                match backends {
                    Some(shares) => shares.iter().try_for_each(|share| write_share(f, share)),
                    None => writeln!(f, "  no rule takes it: closed"),
                }
            }
        }
    }
}

fn write_rules(f: &mut fmt::Formatter<'_>, rules: &[Tried]) -> fmt::Result {
    writeln!(f, "  rules, the first that matches takes it:")?;
    for (index, tried) in rules.iter().enumerate().filter(|(_, tried)| !tried.other_host) {
        let verdict = match (tried.verdict, &tried.because) {
            ("chosen", _) => "-> takes it".to_owned(),
            ("outranked", _) => "   would match, but comes later".to_owned(),
            (_, Some(because)) => format!("   no: {because}"),
            (other, None) => format!("   {other}"),
        };
        writeln!(
            f,
            "  {:>4}. {}/{}: {}",
            index + 1,
            tried.route,
            tried.rule,
            tried.asks
        )?;
        writeln!(f, "     {verdict}")?;
    }
    match rules.iter().filter(|tried| tried.other_host).count() {
        0 => Ok(()),
        1 => writeln!(f, "        and 1 for another host"),
        others => writeln!(f, "        and {others} for other hosts"),
    }
}

/// `denied` is what becomes of what is denied.
fn write_policies(f: &mut fmt::Formatter<'_>, source: &str, places: &[AtPlace], denied: &str) -> fmt::Result {
    if places.is_empty() {
        return Ok(());
    }
    writeln!(f, "  policies, asked by {source}:")?;
    for place in places {
        let outcome = match &place.denied_by {
            Some(policy) => format!("{denied}, denied by {policy}"),
            None => "passes".to_owned(),
        };
        writeln!(f, "    {}: {outcome}", place.place)?;
        for judged in &place.policies {
            let dry = if judged.dry_run { ", dry run" } else { "" };
            let verdict = match &judged.because {
                None => "matches".to_owned(),
                Some(because) => format!("no: {because}"),
            };
            writeln!(f, "      {} ({}{dry}): {verdict}", judged.policy, judged.action)?;
        }
    }
    Ok(())
}

fn write_share(f: &mut fmt::Formatter<'_>, share: &Share) -> fmt::Result {
    writeln!(
        f,
        "    {:>6} to {} (weight {}): {}",
        percent(share.percent),
        share.service,
        share.weight,
        share.endpoints
    )
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  rule {}/{}", self.route, self.rule)?;
        if let Some(answer) = &self.answer {
            writeln!(f, "    answers {answer}")?;
        }
        self.answer_headers
            .iter()
            .try_for_each(|edit| writeln!(f, "           response header {edit}"))?;
        for share in &self.backends {
            write_share(f, share)?;
            writeln!(f, "           sends {}", share.sends)?;
            share
                .request_headers
                .iter()
                .try_for_each(|edit| writeln!(f, "           request header {edit}"))?;
            share
                .response_headers
                .iter()
                .try_for_each(|edit| writeln!(f, "           response header {edit}"))?;
        }
        if let Some(sticky) = &self.sticky {
            writeln!(f, "    sticky {sticky}")?;
        }
        if !self.backends.is_empty() {
            let bound = |bound: &Option<String>| bound.clone().unwrap_or_else(|| "none".to_owned());
            let (request, each) = (bound(&self.request_timeout), bound(&self.backend_timeout));
            writeln!(f, "    timeouts: request {request}, each try {each}")?;
            let none = ["none".to_owned()];
            let retry: &[String] = if self.retry.is_empty() { &none } else { &self.retry };
            writeln!(
                f,
                "    retries: {}",
                retry.join(
                    "
             "
                )
            )?;
        }
        Ok(())
    }
}

/// At most two decimals, without zeros at their end.
pub(crate) fn percent(value: f64) -> String {
    let digits = format!("{value:.2}");
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}
