//! The decision case by case, and its invariants over every case.

use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;

fn policy(on: &[RetryOn]) -> Retry {
    let mut policy: Retry = from_value(json!({
        "attempts": 2, "on": [], "backoff_base": 25, "backoff_max": 250, "budget_percent": 20,
        "budget_per_second": 10, "body_limit": 65536, "unsafe_methods": false,
    }))
    .unwrap();
    policy.on = on.to_vec();
    policy
}

#[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
fn decided(attempt: &Attempt<'_>, budget: &mut Budget) -> Verdict {
    decide(attempt, budget, Instant::now(), &mut fastrand::Rng::with_seed(1))
}

fn ample() -> Budget {
    Budget::new(0, 1000)
}

/// A GET that was sent on a new connection and got no answer.
fn reset(policy: Option<&Retry>) -> Attempt<'_> {
    Attempt {
        policy,
        retries: 0,
        failure: Failure::Reset,
        idempotent: true,
        bytes_sent: true,
        reused_connection: false,
        replayed: false,
        body_replayable: true,
        response_started: false,
    }
}

fn stops(attempt: Attempt<'_>, reason: StopReason) {
    assert_eq!(
        decided(&attempt, &mut ample()),
        Verdict::Stop(reason),
        "{attempt:?}"
    );
}

fn retries(attempt: Attempt<'_>) {
    assert!(
        matches!(decided(&attempt, &mut ample()), Verdict::Retry { .. }),
        "{attempt:?}"
    );
}

#[test]
fn only_failures_that_the_policy_names_are_retried() {
    use Failure::*;
    let status = |range: std::ops::RangeInclusive<u16>| range.map(Status).collect::<Vec<_>>();
    for (condition, covered) in [
        (RetryOn::ConnectFailure, vec![ConnectFailure]),
        (RetryOn::Reset, vec![Reset]),
        (RetryOn::Timeout, vec![Timeout]),
        (RetryOn::GatewayError, status(502..=504)),
        (RetryOn::ServerError, status(500..=599)),
        (RetryOn::Status(409), vec![Status(409)]),
    ] {
        let policy = policy(&[condition]);
        let failures = [ConnectFailure, Reset, Timeout]
            .into_iter()
            .chain(status(200..=599));
        for failure in failures {
            let attempt = Attempt {
                failure,
                ..reset(Some(&policy))
            };
            match covered.contains(&failure) {
                true => retries(attempt),
                false => stops(attempt, StopReason::NotRetriable),
            }
        }
    }
    stops(reset(None), StopReason::NotRetriable);
}

#[test]
fn each_bound_stops_with_its_reason() {
    let policy = policy(&[RetryOn::Reset]);
    let reset = reset(Some(&policy));
    stops(
        Attempt {
            response_started: true,
            ..reset
        },
        StopReason::ResponseStarted,
    );
    stops(
        Attempt {
            idempotent: false,
            ..reset
        },
        StopReason::NotIdempotent,
    );
    stops(
        Attempt {
            body_replayable: false,
            ..reset
        },
        StopReason::BodyTooLarge,
    );
    retries(Attempt { retries: 1, ..reset });
    stops(Attempt { retries: 2, ..reset }, StopReason::Exhausted);
    assert_eq!(
        decided(&reset, &mut Budget::new(0, 0)),
        Verdict::Stop(StopReason::Budget)
    );
}

#[test]
fn unsafe_methods_go_twice_only_when_unsent_or_allowed() {
    let mut policy = policy(&[RetryOn::Reset, RetryOn::ConnectFailure]);
    let post = Attempt {
        idempotent: false,
        ..reset(None)
    };
    stops(
        Attempt {
            policy: Some(&policy),
            ..post
        },
        StopReason::NotIdempotent,
    );
    let unsent = Attempt {
        bytes_sent: false,
        failure: Failure::ConnectFailure,
        ..post
    };
    retries(Attempt {
        policy: Some(&policy),
        ..unsent
    });
    policy.unsafe_methods = true;
    retries(Attempt {
        policy: Some(&policy),
        ..post
    });
}

#[test]
fn a_stale_connection_is_replaced_once_without_a_policy() {
    let stale = Attempt {
        reused_connection: true,
        ..reset(None)
    };
    let replayed = |attempt| decided(&attempt, &mut Budget::new(0, 0)) == Verdict::Replay;
    assert!(replayed(stale));
    assert!(replayed(Attempt {
        idempotent: false,
        bytes_sent: false,
        ..stale
    }));
    assert!(!replayed(Attempt {
        idempotent: false,
        ..stale
    }));
    assert!(!replayed(Attempt {
        replayed: true,
        ..stale
    }));
    assert!(!replayed(Attempt {
        body_replayable: false,
        ..stale
    }));
    assert!(!replayed(Attempt {
        failure: Failure::Timeout,
        ..stale
    }));
    assert!(!replayed(Attempt {
        response_started: true,
        ..stale
    }));
    // A policy may allow to send a POST twice, but then as a retry that counts.
    let mut unsafe_policy = policy(&[RetryOn::Reset]);
    unsafe_policy.unsafe_methods = true;
    retries(Attempt {
        policy: Some(&unsafe_policy),
        idempotent: false,
        ..stale
    });
}

#[test]
fn only_retries_that_happen_are_charged() {
    let policy = policy(&[RetryOn::Reset]);
    let reset = reset(Some(&policy));
    let mut budget = Budget::new(0, 1);
    for stopped in [
        Attempt {
            idempotent: false,
            ..reset
        },
        Attempt { retries: 9, ..reset },
        Attempt {
            policy: None,
            ..reset
        },
        Attempt {
            reused_connection: true,
            ..reset
        },
    ] {
        assert!(!matches!(decided(&stopped, &mut budget), Verdict::Retry { .. }));
    }
    assert!(matches!(decided(&reset, &mut budget), Verdict::Retry { .. }));
}

#[test]
fn methods_are_told_apart_by_case() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(is_idempotent(method) && !is_idempotent(&method.to_lowercase()));
    }
    for method in ["POST", "PATCH", "CONNECT", "LINK", ""] {
        assert!(!is_idempotent(method));
    }
}

proptest! {
    #[test]
    fn waits_are_within_the_bounds(base in 1_u32..86_400_000, max in 1_u32..86_400_000, retry: u32, seed: u64) {
        let mut policy = policy(&[]);
        policy.backoff_base = from_value(json!(base)).unwrap();
        policy.backoff_max = from_value(json!(max)).unwrap();
        let wait = backoff(&policy, retry, &mut fastrand::Rng::with_seed(seed));
        let doubled = u64::from(base) << retry.saturating_sub(1).min(30);
        prop_assert!(wait <= Duration::from_millis(doubled.min(u64::from(max))));
    }

    /// Whatever else: no second response, no unsafe repetition, no body that is gone.
    #[test]
    fn nothing_unsafe_is_sent_twice(
        on in prop::collection::vec(prop::sample::select(vec![
            RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Timeout, RetryOn::ServerError, RetryOn::Status(500),
        ]), 0..4),
        failure in prop::sample::select(vec![
            Failure::ConnectFailure, Failure::Reset, Failure::Timeout, Failure::Status(500),
        ]),
        flags: [bool; 6],
        with_policy: bool,
        retries in 0_u32..4,
    ) {
        let policy = policy(&on);
        let [idempotent, bytes_sent, reused_connection, replayed, body_replayable, response_started] = flags;
        let policy = with_policy.then_some(&policy);
        let attempt = Attempt {
            policy, retries, failure, idempotent, bytes_sent, reused_connection, replayed, body_replayable,
            response_started,
        };
        let verdict = decided(&attempt, &mut ample());
        if !matches!(verdict, Verdict::Stop(_)) {
            prop_assert!(!response_started && body_replayable && (idempotent || !bytes_sent));
        }
        if matches!(verdict, Verdict::Retry { .. }) {
            prop_assert!(with_policy && retries < 2);
        }
    }
}

#[test]
fn waits_spread_over_the_whole_range() {
    let policy = policy(&[]);
    let mut rng = fastrand::Rng::with_seed(5);
    for (retry, longest) in [(1, 25), (2, 50), (4, 200), (5, 250), (40, 250)] {
        let waits: Vec<_> = (0..2000).map(|_| backoff(&policy, retry, &mut rng)).collect();
        let percent = |percent| Duration::from_millis(longest) * percent / 100;
        assert!(waits.iter().any(|wait| *wait < percent(5)));
        assert!(waits.iter().any(|wait| *wait > percent(95)));
    }
}
