//! The paths, without a socket.

use http_body_util::BodyExt as _;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::{
    metrics::Registry,
    status::{Reload, ReloadResult, Running},
};

const YAML: &str = r#"
listeners: [{ name: web, bind: "127.0.0.1:8080" }]
routes: [{ name: all, rules: [{ backends: [{ service: one }] }] }]
services: [{ name: one, endpoints: [{ address: "10.0.0.1:80" }] }]
"#;

fn serving() -> Status {
    Status {
        phase: Phase::Serving,
        running: Some(Running {
            generation: 3,
            model: Arc::new(Model::from_yaml(YAML).unwrap()),
            loaded_at: SystemTime::UNIX_EPOCH,
            since: Instant::now(),
        }),
        last_reload: Some(Reload {
            result: ReloadResult::Rejected,
            at: SystemTime::UNIX_EPOCH,
            problems: vec!["a.yaml:1:2: bad".to_owned()],
        }),
    }
}

/// What the server sees, and the ends that the control loop holds.
fn view(status: Status) -> (View, watch::Sender<Status>, mpsc::Receiver<Ask>) {
    let (tell, status) = watch::channel(status);
    let (asks, asked) = mpsc::channel(1);
    let registry = Arc::new(Registry::new(1, []));
    (
        View {
            registry,
            status,
            asks,
        },
        tell,
        asked,
    )
}

async fn get(view: &View, method: &str, target: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(target).body(()).unwrap();
    let response = answer(&request, view).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn paths_and_methods() {
    let (view, _tell, _asked) = view(serving());
    for (method, target, status, holds) in [
        ("GET", "/metrics", 200, "sluice_build_info"),
        ("HEAD", "/metrics", 200, ""),
        ("GET", "/livez", 200, "ok"),
        ("GET", "/", 404, "/explain"),
        ("GET", "/nothing", 404, "/explain"),
        ("POST", "/metrics", 405, "GET only"),
        ("GET", "/drain", 405, "POST only"),
        (
            "GET",
            "/explain?url=http://x/%61%2Bb&method=POST&header=a:+b",
            200,
            "POST http://x/a+b",
        ),
        ("GET", "/explain?url=http://x/&format=json", 200, "\"listeners\""),
        ("GET", "/explain?request=PUT%20http://x/y", 200, "PUT http://x/y"),
        ("GET", "/explain", 400, "not a URL"),
        ("GET", "/explain?url=http://x/&nonsense=1", 400, "nonsense"),
    ] {
        let (found, body) = get(&view, method, target).await;
        assert_eq!(found, status, "{method} {target}: {body}");
        assert!(body.contains(holds), "{method} {target}: {body}");
    }
}

#[tokio::test]
async fn config_tells_what_runs_and_how_the_last_load_went() {
    let (view, _tell, _asked) = view(serving());
    let (status, body) = get(&view, "GET", "/config").await;
    assert_eq!(status, 200);
    let page: ConfigPage = serde_json::from_str(&body).unwrap();
    assert_eq!(page.generation, 3);
    assert_eq!(page.loaded_at.as_deref(), Some("1970-01-01T00:00:00.000Z"));
    let last = page.last_reload.unwrap();
    assert_eq!((last.result.as_str(), last.problems.len()), ("rejected", 1));
    // A running gateway's model comes back whole, but for the places in files.
    let model = page.model.unwrap();
    assert_eq!(model.services, Model::from_yaml(YAML).unwrap().services);
}

#[tokio::test]
async fn readiness_is_the_loops_to_tell() {
    let (view, tell, mut asked) = view(Status::default());
    let (status, body) = get(&view, "GET", "/readyz").await;
    assert_eq!((status, body.as_str()), (503, "not ready: starting\n"));

    tell.send_replace(serving());
    for (outcome, status, words) in [
        (Ok(()), 200, "ready\n"),
        (
            Err("worker 1 does not answer".to_owned()),
            503,
            "not ready: worker 1 does not answer\n",
        ),
    ] {
        let loop_answers = async {
            let Some(Ask::Ready(answer)) = asked.recv().await else {
                panic!("not asked")
            };
            answer.send(outcome).unwrap();
        };
        let (found, ()) = tokio::join!(get(&view, "GET", "/readyz"), loop_answers);
        assert_eq!(found, (status, words.to_owned()));
    }

    tell.send_replace(Status {
        phase: Phase::Draining,
        ..serving()
    });
    assert_eq!(get(&view, "GET", "/readyz").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_answer_is_not_ready() {
    let (view, _tell, _asked) = view(serving());
    let (status, body) = get(&view, "GET", "/readyz").await;
    assert_eq!(
        (status, body.as_str()),
        (503, "not ready: the control loop does not answer\n")
    );
}

#[tokio::test]
async fn draining_is_not_for_web_pages() {
    let (view, _tell, mut asked) = view(serving());
    let request = Request::post("/drain")
        .header("origin", "http://evil.example")
        .body(())
        .unwrap();
    assert_eq!(answer(&request, &view).await.status(), 403);
    assert!(asked.try_recv().is_err());

    let loop_answers = async {
        let Some(Ask::Drain(answer)) = asked.recv().await else {
            panic!("not asked")
        };
        answer.send(()).unwrap();
    };
    let (found, ()) = tokio::join!(get(&view, "POST", "/drain"), loop_answers);
    assert_eq!(found, (200, "draining\n".to_owned()));
}

#[test]
fn forms_are_decoded() {
    let pairs: Vec<_> = form_pairs("a=1+2&b=%41%zz%&&c").collect();
    let expected = [("a", "1 2"), ("b", "A%zz%"), ("c", "")];
    assert!(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .eq(expected),
        "{pairs:?}"
    );
}
