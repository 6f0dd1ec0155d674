//! Names, with a look-up that answers from a script, on a clock that only moves when all wait.

use std::{collections::VecDeque, sync::Mutex};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

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

#[tokio::test(start_paused = true)]
async fn a_set_that_flaps_is_told_each_time_and_at_most_once_a_second() {
    let flap = (0..20).map(|turn| good(&[ip(turn % 2)], 0)).collect();
    let (tell, mut told) = mpsc::channel(1);
    let mut followed = Names::new(Script(Mutex::new(flap)), tell);
    followed.follow(&names(&["a"]));
    let start = tokio::time::Instant::now();
    for turn in 0..20 {
        let resolved = told.recv().await.unwrap();
        assert!(followed.learn(resolved, Instant::now()));
        assert_eq!(followed.addresses()["a"], [ip(turn % 2)]);
    }
    assert!(start.elapsed() >= DNS_REFRESH_MIN * 19);
}

/// A name server on the loopback that answers by the first label of the name; gives its port.
async fn name_server() -> u16 {
    let tcp = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, peer)) = udp.recv_from(&mut query).await {
            let Some(mut answer) = answer_to(&query[..length]) else {
                continue;
            };
            if answer.len() > 512 {
                answer.truncate(question_end(&query));
                answer[2] |= 0x02; // truncated: ask over TCP (RFC 2181 9)
                answer[6..8].fill(0);
            }
            udp.send_to(&answer, peer).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.unwrap();
            let answer = answer_to(&query).unwrap();
            stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    port
}

/// Behind the name, type and class of the question (RFC 1035 4.1.2).
fn question_end(query: &[u8]) -> usize {
    12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5
}

/// A response of RFC 1035 4.1; none to what is to be left unanswered.
fn answer_to(query: &[u8]) -> Option<Vec<u8>> {
    let end = question_end(query);
    let first_label = &query[13..13 + usize::from(query[12])];
    let asks_ipv4 = query[end - 4..end - 2] == [0, 1];
    let (code, count, lifetime): (u8, u16, u32) = match first_label {
        b"servfail" => (2, 0, 0),
        b"nxdomain" => (3, 0, 0),
        b"silent" => return None,
        b"many" if asks_ipv4 => (0, 1000, 60),
        b"zero" if asks_ipv4 => (0, 1, 0),
        _ => (0, 0, 0),
    };
    let mut answer = query[..end].to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    answer[6..8].copy_from_slice(&count.to_be_bytes());
    answer[8..12].fill(0);
    for index in 0..count {
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(lifetime.to_be_bytes());
        answer.extend([0, 4, 10, 0]);
        answer.extend(index.to_be_bytes());
    }
    Some(answer)
}

#[tokio::test]
async fn what_name_servers_do_is_an_answer_or_a_failure() {
    let port = name_server().await;
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.into_iter().map(|mut connection| {
        connection.port = port;
        connection
    });
    let server = NameServerConfig::new([127, 0, 0, 1].into(), true, connections.collect());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().timeout = Duration::from_millis(200);
    builder.options_mut().attempts = 1;
    let resolver = SystemResolver::of(builder).unwrap();
    for failing in ["nxdomain.test", "servfail.test", "silent.test", "empty.test"] {
        let failure = resolver.lookup(failing).await.unwrap_err();
        assert!(!failure.is_empty(), "{failing}");
    }
    let zero = resolver.lookup("zero.test").await.unwrap();
    assert_eq!((zero.addresses.len(), zero.lifetime), (1, Duration::ZERO));
    let many = resolver.lookup("many.test").await.unwrap();
    assert_eq!(many.addresses.len(), 1000);
    assert_eq!(settled(many.addresses).len(), DNS_ADDRESSES_MAX);
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
