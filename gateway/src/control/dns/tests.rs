//! Names, with a look-up that answers from a script, on a clock that only moves when all wait.

use std::{collections::VecDeque, sync::Mutex};

use super::*;

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn good(addresses: &[IpAddr], seconds: u64) -> Result<Answer, String> {
    Ok(Answer {
        addresses: addresses.to_vec(),
        lifetime: Duration::from_secs(seconds),
    })
}

fn bad() -> Result<Answer, String> {
    Err("SERVFAIL".to_owned())
}

fn outcome(name: &str, outcome: Result<Answer, String>) -> Resolved {
    Resolved {
        name: name.to_owned(),
        outcome,
    }
}

/// Answers one after the other, then never again.
#[derive(Default)]
struct Script(Mutex<VecDeque<Result<Answer, String>>>);

impl Lookup for Script {
    async fn lookup(&self, _: &str) -> Result<Answer, String> {
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn following(list: &[&str]) -> Names<Script> {
    let mut followed = Names::new(Script::default(), mpsc::channel(1).0);
    followed.follow(&names(list));
    followed
}

#[tokio::test]
async fn only_a_changed_set_is_a_change() {
    let mut followed = following(&["a"]);
    let now = Instant::now();
    assert!(followed.learn(outcome("a", good(&[ip(2), ip(1), ip(2)], 5)), now));
    assert!(!followed.learn(outcome("a", good(&[ip(1), ip(2)], 5)), now));
    assert_eq!(followed.addresses()["a"], [ip(1), ip(2)]);
    assert!(followed.learn(outcome("a", good(&[ip(1)], 5)), now));
    assert!(!followed.learn(outcome("gone", good(&[ip(9)], 5)), now));
}

#[tokio::test]
async fn the_last_good_set_outlives_an_outage_with_a_bound() {
    let mut followed = following(&["a", "b"]);
    let now = Instant::now();
    followed.learn(outcome("a", good(&[ip(1)], 5)), now);
    assert!(!followed.all_answered(&names(&["a", "b"])));
    assert!(
        !followed.learn(outcome("b", bad()), now),
        "nothing known, nothing lost"
    );
    assert!(followed.all_answered(&names(&["a", "b"])));

    assert!(!followed.learn(outcome("a", bad()), now + DNS_KEPT - Duration::from_secs(1)));
    assert_eq!(followed.addresses()["a"], [ip(1)]);
    assert!(followed.learn(outcome("a", bad()), now + DNS_KEPT));
    assert!(followed.addresses()["a"].is_empty());
}

#[tokio::test]
async fn a_thousand_records_are_cut() {
    let mut followed = following(&["a"]);
    let many: Vec<IpAddr> = (0..1000_u32)
        .map(|index| std::net::Ipv4Addr::from(index).into())
        .collect();
    followed.learn(outcome("a", good(&many, 5)), Instant::now());
    assert_eq!(followed.addresses()["a"].len(), DNS_ADDRESSES_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_for_again_when_its_answer_is_old() {
    let script = Script(Mutex::new(
        [
            good(&[ip(1)], 20),
            good(&[ip(2)], 0),
            bad(),
            bad(),
            good(&[ip(3)], 86_400),
            good(&[ip(4)], 1),
        ]
        .into(),
    ));
    let (tell, mut told) = mpsc::channel(1);
    let mut followed = Names::new(script, tell);
    followed.follow(&names(&["a"]));
    let mut last = tokio::time::Instant::now();
    for (good, earliest, latest) in [
        (true, 0, 0),
        (true, 20, 22),
        (false, 1, 2),
        (false, 1, 2),
        (true, 2, 4),
        (true, 300, 330),
    ] {
        let resolved = told.recv().await.unwrap();
        assert_eq!(resolved.outcome.is_ok(), good);
        let waited = last.elapsed().as_secs_f64();
        assert!(
            waited >= f64::from(earliest) && waited <= f64::from(latest) + 0.1,
            "{waited} {resolved:?}"
        );
        last = tokio::time::Instant::now();
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_no_longer_followed_is_not_asked_for() {
    let (tell, mut told) = mpsc::channel(1);
    let mut followed = Names::new(
        Script(Mutex::new((1..10).map(|last| good(&[ip(last)], 1)).collect())),
        tell,
    );
    followed.follow(&names(&["a"]));
    assert!(told.recv().await.is_some());
    followed.follow(&names(&[]));
    drop(followed);
    // The task is gone and with it the last sender; at most one outcome was on its way.
    let mut late = 0;
    while told.recv().await.is_some() {
        late += 1;
    }
    assert!(late <= 1);
}

#[tokio::test(start_paused = true)]
async fn another_resolver_is_asked_at_once_and_what_is_known_stays() {
    let script = |last| Script(Mutex::new([good(&[ip(last)], 300)].into()));
    let (tell, mut told) = mpsc::channel(1);
    let mut followed = Names::new(script(1), tell);
    followed.follow(&names(&["a"]));
    let now = Instant::now();
    assert!(followed.learn(told.recv().await.unwrap(), now));
    let start = tokio::time::Instant::now();
    followed.renew(script(2));
    assert!(followed.all_answered(&names(&["a"])));
    assert_eq!(followed.addresses()["a"], [ip(1)]);
    assert!(followed.learn(told.recv().await.unwrap(), now));
    assert_eq!(followed.addresses()["a"], [ip(2)]);
    assert!(start.elapsed() < DNS_REFRESH_MIN);
}

#[tokio::test]
async fn localhost_needs_no_name_server() {
    let answer = SystemResolver::new().unwrap().lookup("localhost").await.unwrap();
    assert_eq!(settled(answer.addresses), [IpAddr::from([127, 0, 0, 1])]);
}

#[test]
fn waits_are_bounded() {
    let mut random = fastrand::Rng::with_seed(7);
    for failures in 0..1000 {
        let wait = retry_in(failures, &mut random);
        assert!(wait >= DNS_REFRESH_MIN && wait <= DNS_RETRY_MAX, "{wait:?}");
    }
    assert!(refresh_in(Duration::ZERO, &mut random) >= DNS_REFRESH_MIN);
    assert!(refresh_in(Duration::MAX, &mut random) <= DNS_REFRESH_MAX.mul_f64(1.1));
}
