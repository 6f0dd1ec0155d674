//! Who is asked and what is held, with an asker that answers from a list, on a clock that only moves when all wait.

use std::sync::Mutex;

use sluice_config::{Model, model};

use super::*;
use crate::{
    metrics::Registry,
    snapshot::{Transports, compile},
};

/// Answers as told, and remembers whom it was asked about.
#[derive(Default)]
struct Script {
    asked: Mutex<Vec<SocketAddr>>,
    bad: Mutex<Vec<SocketAddr>>,
}

impl Ask for Script {
    async fn ask(&self, question: &Question) -> Result<(), Fault> {
        self.asked.lock().unwrap().push(question.address);
        let is_bad = self.bad.lock().unwrap().contains(&question.address);
        if is_bad { Err(Fault::Status(500)) } else { Ok(()) }
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

/// The service `one` with endpoints of these last bytes.
fn services(endpoints: &[u8], health: &str) -> Vec<Service> {
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|&last| format!("{{ address: \"{}\" }}", address(last)))
        .collect();
    let yaml = format!(
        "listeners: [{{ name: web, bind: \"127.0.0.1:80\" }}]\n\
         services: [{{ name: one, endpoints: [{}]{health} }}]\n",
        endpoints.join(", ")
    );
    let model: model::Model = Model::from_yaml(&yaml).unwrap();
    let registry = Registry::new(1, []);
    compile(
        Arc::new(model),
        &HashMap::new(),
        &Transports::default(),
        |_, _| true,
        &registry,
        1,
    )
    .services
}

const TCP: &str = ", health: { tcp: true }";

fn probes() -> (Probes<Script>, mpsc::Receiver<Answer>) {
    let (tell, told) = mpsc::channel(1);
    (Probes::new(Script::default(), tell), told)
}

/// Takes in the next answers, and gives those that changed something.
async fn learn(
    probes: &mut Probes<Script>,
    told: &mut mpsc::Receiver<Answer>,
    answers: usize,
) -> Vec<(SocketAddr, bool)> {
    let mut changes = Vec::new();
    for _ in 0..answers {
        let answer = told.recv().await.unwrap();
        if let Learned::Changed { up } = probes.learn(&answer) {
            changes.push((answer.address, up));
        }
    }
    changes
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_is_asked_once_an_interval_give_or_take_a_tenth() {
    let (mut probes, mut told) = probes();
    let start = tokio::time::Instant::now();
    probes.follow(&services(&[1, 2], TCP));
    learn(&mut probes, &mut told, 2 * 10).await;
    let waited = start.elapsed().as_secs_f64();
    assert!((4.5 * 9.0..=5.5 * 9.0).contains(&waited), "{waited}");
    let asked = probes.asker.asked.lock().unwrap().clone();
    let count = |last| asked.iter().filter(|asked| **asked == address(last)).count();
    assert!(count(1) >= 9 && count(2) >= 9, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn only_rows_of_answers_change_what_is_held() {
    let (mut probes, mut told) = probes();
    probes.follow(&services(&[1], TCP));
    assert!(probes.is_up("one", address(1)));
    assert_eq!(learn(&mut probes, &mut told, 1).await, []);
    probes.asker.bad.lock().unwrap().push(address(1));
    assert_eq!(learn(&mut probes, &mut told, 2).await, []);
    assert_eq!(learn(&mut probes, &mut told, 1).await, [(address(1), false)]);
    assert!(!probes.is_up("one", address(1)));
    probes.asker.bad.lock().unwrap().clear();
    assert_eq!(learn(&mut probes, &mut told, 2).await, [(address(1), true)]);
}

#[tokio::test(start_paused = true)]
async fn what_stays_keeps_its_state_and_what_goes_is_forgotten() {
    let (mut probes, mut told) = probes();
    probes.asker.bad.lock().unwrap().extend([address(1), address(2)]);
    probes.follow(&services(&[1, 2], TCP));
    assert_eq!(
        learn(&mut probes, &mut told, 2).await.len(),
        2,
        "first answers decide alone"
    );
    probes.follow(&services(&[1, 3], TCP));
    assert!(!probes.is_up("one", address(1)), "it stayed");
    assert!(probes.is_up("one", address(2)), "it is gone");
    assert!(probes.is_up("one", address(3)), "it is new");
    probes.follow(&services(&[1, 2], TCP));
    assert!(!probes.is_up("one", address(1)) && probes.is_up("one", address(2)));
    // Other numbers keep it too; another question as well, until its first answer.
    probes.follow(&services(&[1], ", health: { tcp: true, interval: 1s }"));
    assert!(!probes.is_up("one", address(1)));
    probes.follow(&services(&[1], ", health: { http: { path: / } }"));
    assert!(!probes.is_up("one", address(1)));
    probes.asker.bad.lock().unwrap().clear();
    let mut changed = Vec::new();
    while changed.is_empty() {
        changed = learn(&mut probes, &mut told, 1).await;
    }
    assert_eq!(changed, [(address(1), true)]);
    probes.follow(&services(&[1], ""));
    assert!(probes.watched.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_old_question_says_nothing() {
    let (mut probes, mut told) = probes();
    probes.asker.bad.lock().unwrap().push(address(1));
    probes.follow(&services(&[1], TCP));
    let old = told.recv().await.unwrap();
    probes.follow(&services(&[1], ", health: { http: { path: / } }"));
    assert_eq!(probes.learn(&old), Learned::Nothing);
    probes.follow(&[]);
    assert_eq!(probes.learn(&old), Learned::Nothing);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_followed_is_not_asked() {
    let (mut probes, mut told) = probes();
    probes.follow(&services(&[1, 2, 3], TCP));
    learn(&mut probes, &mut told, 3).await;
    probes.follow(&[]);
    drop(probes);
    // The tasks are gone and with them the last senders; at most what fits the channel was on its way.
    let mut late = 0;
    while told.recv().await.is_some() {
        late += 1;
    }
    assert!(late <= 1, "{late}");
}

/// Counts how many are asked at once.
#[derive(Default)]
struct Crowd {
    now: Mutex<(usize, usize)>,
}

impl Ask for Crowd {
    async fn ask(&self, _: &Question) -> Result<(), Fault> {
        {
            let mut now = self.now.lock().unwrap();
            now.0 += 1;
            now.1 = now.1.max(now.0);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.now.lock().unwrap().0 -= 1;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn checks_at_once_are_bounded() {
    let (tell, mut told) = mpsc::channel(1);
    let mut probes = Probes::new(Crowd::default(), tell);
    let all: Vec<u8> = (0..=255).collect();
    probes.follow(&services(&all, TCP));
    for _ in 0..all.len() {
        told.recv().await.unwrap();
    }
    assert_eq!(probes.asker.now.lock().unwrap().1, HEALTH_CHECKS_AT_ONCE_MAX);
}
