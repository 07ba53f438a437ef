//! Health and status as an orchestrator, an operator and a script see them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chainspan::admin::{self, ExportedPoints, Lifecycle, Monitor, Phase, Readiness, Sources};
use chainspan::chain::ChainId;
use chainspan::config::Role;
use chainspan::delivery::{BreakerState, Conservation, DestinationStatus, Signal};
use chainspan::pipeline::Budget;
use chainspan::red::{Cause, ChainHealth, ChainLabel, ChainState};
use chainspan::store::{NotKept, StoreStatus};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Admin {
    address: SocketAddr,
    lifecycle: Lifecycle,
    destinations: Arc<Mutex<Vec<DestinationStatus>>>,
    chains: Arc<Mutex<Vec<ChainState>>>,
    store: Arc<Mutex<Option<StoreStatus>>>,
    exported: Arc<Mutex<Vec<ExportedPoints>>>,
    budget: Budget,
    monitor: Monitor,
}

struct Answer {
    code: u16,
    head: String,
    body: String,
}

/// What is measured of two chains; two services report on one of them.
fn chains() -> Vec<ChainState> {
    let state = |chain, health, why| ChainState {
        dims: Arc::default(),
        chain: ChainLabel::Id(ChainId::new(chain).unwrap()),
        health,
        why,
    };
    vec![
        state(8453, ChainHealth::Down, Some(Cause::NoSuccess)),
        state(8453, ChainHealth::Healthy, None),
        state(1, ChainHealth::Healthy, None),
    ]
}

/// Answers with what the test says at the moment.
fn asked<T: Clone + Send + Sync + 'static>(answer: &Arc<Mutex<T>>) -> Arc<dyn Fn() -> T + Send + Sync> {
    let answer = answer.clone();
    Arc::new(move || answer.lock().unwrap().clone())
}

impl Admin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lifecycle = Lifecycle::new();
        let budget = Budget::new(1000);
        let destinations = Arc::new(Mutex::new(vec![destination("otlp/datadog", Role::Required)]));
        let listening = BTreeMap::from([
            ("health_check".to_owned(), address),
            ("prometheus".to_owned(), "127.0.0.1:9464".parse().unwrap()),
        ]);
        let (chains, store, exported) = (Arc::default(), Arc::default(), Arc::default());
        let sources = Sources {
            destinations: asked(&destinations),
            chains: asked(&chains),
            store: asked(&store),
            exported: asked(&exported),
        };
        let monitor = Monitor::new(listening, sources, budget.clone(), lifecycle.clone());
        tokio::spawn(admin::serve(Some(listener), monitor.clone(), std::future::pending()));
        Self { address, lifecycle, destinations, chains, store, exported, budget, monitor }
    }

    async fn request(&self, method: &str, path: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { code, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let answer = self.request("GET", path).await;
        (answer.code, serde_json::from_str(&answer.body).unwrap())
    }

    /// Waits for `/health/ready` to be `status`; returns its code and body.
    async fn ready(&self, status: &str) -> (u16, Value) {
        for _ in 0..2000 {
            let (code, body) = self.json("/health/ready").await;
            if body["status"] == status {
                return (code, body);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("/health/ready never was {status}");
    }

    /// Waits for a check of `/health/ready` to be `status`; returns the code and the body.
    async fn ready_with(&self, check: &str, status: &str) -> (u16, Value) {
        for _ in 0..2000 {
            let (code, body) = self.json("/health/ready").await;
            if body["checks"][check][0]["status"] == status {
                return (code, body);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{check} never was {status}");
    }
}

fn destination(name: &str, role: Role) -> DestinationStatus {
    DestinationStatus {
        name: name.into(),
        role,
        spans: Conservation { accepted: 9, delivered: 5, in_flight: 4, ..Conservation::default() },
        requests: Conservation { accepted: 2, delivered: 2, ..Conservation::default() },
        delivered_late: 0,
        queue_bytes: 1234,
        backlog_age: Some(Duration::from_millis(1500)),
        failures: 0,
        breaker: BreakerState::Closed,
        last_error: None,
        unimplemented: Vec::new(),
    }
}

/// The phases of a process, through both health doors and through gRPC's readiness.
#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_phases() {
    let admin = Admin::start().await;
    let mut readiness = admin.monitor.readiness();
    let (code, body) = admin.ready("fail").await;
    assert_eq!(
        (code, body["output"].as_str().unwrap()),
        (503, "starting: nothing is accepted before the store is open and recovered")
    );
    assert_eq!(admin.json("/health").await.0, 200);
    assert_eq!(*readiness.borrow(), Readiness::NotServing);

    admin.lifecycle.advance(Phase::Running).unwrap();
    readiness.wait_for(|now| *now == Readiness::Serving).await.unwrap();
    assert_eq!(admin.ready("pass").await.0, 200);
    assert_eq!(admin.json("/health").await.1["status"], "pass");

    admin.lifecycle.advance(Phase::Draining).unwrap();
    readiness.wait_for(|now| *now == Readiness::NotServing).await.unwrap();
    let (code, body) = admin.ready("fail").await;
    assert_eq!(code, 503);
    assert!(body["output"].as_str().unwrap().starts_with("draining"), "{body}");
    assert_eq!(admin.json("/health").await.0, 200);
}

/// A destination that is down makes a warning with its last error, never a failure; one success clears it.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_warns_and_never_fails() {
    let admin = Admin::start().await;
    admin.lifecycle.advance(Phase::Running).unwrap();
    let (_, body) = admin.ready("pass").await;
    assert_eq!(body["checks"]["receiver"][0]["status"], "pass");

    {
        let mut destinations = admin.destinations.lock().unwrap();
        destinations[0].failures = 3;
        destinations[0].last_error = Some("connection refused".into());
    }
    let (code, body) = admin.ready("warn").await;
    assert_eq!(code, 200);
    let check = &body["checks"]["destination:otlp/datadog"][0];
    assert_eq!(check["status"], "warn");
    assert_eq!(check["observedValue"], 3);
    assert_eq!(check["output"], "connection refused");
    assert!(check["time"].as_str().unwrap().ends_with('Z') && check["age"].as_f64().unwrap() < 10.0, "{check}");
    assert_eq!(body["checks"]["receiver"][0]["status"], "pass");
    assert_eq!(admin.json("/health").await.0, 200);
    assert_eq!(*admin.monitor.readiness().borrow(), Readiness::Serving);

    admin.destinations.lock().unwrap()[0].failures = 0;
    admin.ready("pass").await;
}

/// Without memory for another request the instance is not ready, and stays alive. It takes three checks to say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_budget_is_not_ready() {
    let admin = Admin::start().await;
    admin.lifecycle.advance(Phase::Running).unwrap();
    admin.ready("pass").await;
    let taken = admin.budget.try_reserve(960).unwrap();
    let (code, body) = admin.ready("fail").await;
    assert_eq!(code, 503);
    assert!(body["output"].as_str().unwrap().contains("memory_limit_mib"), "{body}");
    assert_eq!(body["checks"]["receiver"][0]["observedValue"], 960);
    assert_eq!(admin.json("/health").await.0, 200);
    drop(taken);
    admin.ready("pass").await;
}

/// `/status` is a documented format: exactly these keys; a chain that two services report on shows the worse.
#[tokio::test(flavor = "multi_thread")]
async fn status_is_as_documented() {
    let admin = Admin::start().await;
    *admin.chains.lock().unwrap() = chains();
    let (code, mut status) = admin.json("/status").await;
    assert_eq!(code, 200);
    let resident = status["memory"]["resident_bytes"].take();
    assert!(resident.is_null() || resident.as_u64().unwrap() > 100_000, "{resident}");
    assert!(status["uptime_seconds"].take().as_u64().unwrap() < 100);
    let expected = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": null,
        "listening": {"health_check": admin.address.to_string(), "prometheus": "127.0.0.1:9464"},
        "destinations": {"otlp/datadog": {
            "role": "required",
            "spans": {"accepted": 9, "delivered": 5, "rejected": 0, "in_flight": 4, "spilled": 0, "dead": 0, "discarded": 0},
            "requests": {"accepted": 2, "delivered": 2, "rejected": 0, "in_flight": 0, "spilled": 0, "dead": 0, "discarded": 0},
            "breaker": "closed",
            "failures": 0,
            "last_error": null,
            "unimplemented": {},
            "backlog_age_seconds": 1.5,
            "queue_bytes": 1234,
        }},
        "chains": {
            "1": {"health": "healthy", "why": null},
            "8453": {"health": "down", "why": "operations are attempted and none succeeds"},
        },
        "store": null,
        "memory": {"resident_bytes": null, "budget_used_bytes": 0, "budget_limit_bytes": 1000},
    });
    assert_eq!(status, expected);
    admin.destinations.lock().unwrap()[0].breaker = BreakerState::HalfOpen;
    admin.destinations.lock().unwrap()[0].unimplemented = vec![(Signal::Logs, "UNIMPLEMENTED: no".to_owned())];
    *admin.store.lock().unwrap() = Some(StoreStatus {
        used_bytes: 5,
        max_bytes: 7,
        free_bytes: 9,
        refusing: Some(NotKept::Full),
        set_aside: vec!["/a/b".into()],
    });
    let (_, status) = admin.json("/status").await;
    assert_eq!(status["destinations"]["otlp/datadog"]["breaker"], "half_open");
    let unimplemented = serde_json::json!({"logs": "UNIMPLEMENTED: no"});
    assert_eq!(status["destinations"]["otlp/datadog"]["unimplemented"], unimplemented);
    let store = serde_json::json!({
        "used_bytes": 5, "max_bytes": 7, "free_bytes": 9, "refusing": "the store is full", "set_aside": ["/a/b"],
    });
    assert_eq!(status["store"], store);
}

/// Scenario: the store is full. Guarantee: as long as the required destination takes data that is a warning; once it does
/// not, the instance is not ready, says so, and stays alive; room again, or the destination, makes it ready again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_is_not_ready_only_when_the_destination_is_down_too() {
    let admin = Admin::start().await;
    admin.lifecycle.advance(Phase::Running).unwrap();
    admin.ready("pass").await;
    admin.destinations.lock().unwrap().push(destination("otlp/jaeger", Role::Debug));
    let status = |refusing| Some(StoreStatus { used_bytes: 10, max_bytes: 10, refusing, ..StoreStatus::default() });
    *admin.store.lock().unwrap() = status(Some(NotKept::Full));
    admin.destinations.lock().unwrap()[1].breaker = BreakerState::Open;
    let (code, body) = admin.ready_with("spill", "warn").await;
    assert_eq!((code, &body["status"]), (200, &Value::from("warn")), "{body}");
    assert_eq!(body["checks"]["spill"][0]["observedValue"], 10);

    admin.destinations.lock().unwrap()[0].failures = 3;
    let (code, body) = admin.ready("fail").await;
    assert_eq!(code, 503);
    let output = body["output"].as_str().unwrap();
    assert!(output.contains("the store takes nothing") && output.contains("otlp/datadog"), "{output}");
    assert_eq!(body["checks"]["spill"][0]["status"], "fail");
    assert_eq!(body["checks"]["receiver"][0]["status"], "pass");
    assert_eq!(admin.json("/health").await.0, 200);
    let mut told = admin.monitor.readiness();
    let told = told.wait_for(|readiness| *readiness == Readiness::NotServing);
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("gRPC health follows").unwrap();

    *admin.store.lock().unwrap() = status(None);
    let (code, _) = admin.ready("warn").await;
    assert_eq!(code, 200);
}

/// Scenario: destinations that do not take one signal. Guarantee: a required one warns at once and says which and why; a
/// debug one does not. Neither makes the instance not ready, not even with a full store, as long as anything is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_not_taken_warns_and_never_fails() {
    let admin = Admin::start().await;
    admin.lifecycle.advance(Phase::Running).unwrap();
    admin.destinations.lock().unwrap().push(destination("otlp/jaeger", Role::Debug));
    admin.ready("pass").await;
    let unimplemented =
        |signals: &[Signal]| signals.iter().map(|signal| (*signal, "UNIMPLEMENTED: no".to_owned())).collect();
    {
        let mut destinations = admin.destinations.lock().unwrap();
        destinations[0].unimplemented = unimplemented(&[Signal::Metrics, Signal::Logs]);
        destinations[1].unimplemented = unimplemented(&[Signal::Logs]);
    }
    // One after the other: a check asks one after the other, too.
    admin.ready_with("destination:otlp/datadog", "warn").await;
    let full = StoreStatus { refusing: Some(NotKept::Full), ..StoreStatus::default() };
    *admin.store.lock().unwrap() = Some(full);
    let (code, body) = admin.ready_with("spill", "warn").await;
    assert_eq!((code, &body["status"]), (200, &Value::from("warn")), "{body}");
    let check = &body["checks"]["destination:otlp/datadog"][0];
    assert_eq!((&check["status"], &check["observedValue"]), (&Value::from("warn"), &Value::from(0)));
    assert_eq!(check["output"], "does not take metrics: UNIMPLEMENTED: no; does not take logs: UNIMPLEMENTED: no");
    assert_eq!(body["checks"]["destination:otlp/jaeger"][0]["status"], "pass");
    assert_eq!(admin.json("/health").await.0, 200);

    admin.destinations.lock().unwrap()[0].unimplemented = unimplemented(&Signal::ALL);
    assert_eq!(admin.ready("fail").await.0, 503, "nothing at all is taken, and nothing can be kept");

    *admin.store.lock().unwrap() = Some(StoreStatus::default());
    admin.destinations.lock().unwrap()[0].unimplemented.clear();
    assert_eq!(admin.ready("pass").await.0, 200);
}

/// An open breaker, dead letters, a store that was set aside, a chain that is not well, lost measurements: each is a warning
/// with an entry of its own, at once, and none makes the instance not ready.
#[tokio::test(flavor = "multi_thread")]
async fn what_needs_attention_is_a_warning() {
    let admin = Admin::start().await;
    admin.lifecycle.advance(Phase::Running).unwrap();
    admin.ready("pass").await;
    {
        let mut destinations = admin.destinations.lock().unwrap();
        destinations[0].breaker = BreakerState::Open;
        destinations[0].spans.dead = 4;
        *admin.chains.lock().unwrap() = chains();
        *admin.store.lock().unwrap() = Some(StoreStatus { set_aside: vec!["/a/b".into()], ..StoreStatus::default() });
        *admin.exported.lock().unwrap() = vec![ExportedPoints { exporter: "otlp/a".to_owned(), sent: 0, lost: 2 }];
    }
    // The first check that sees one of them may have asked for another before it was there.
    for check in ["destination:otlp/datadog", "chain:8453", "spill:set_aside"] {
        admin.ready_with(check, "warn").await;
    }
    let (code, body) = admin.ready_with("metrics:otlp/a", "warn").await;
    assert_eq!((code, &body["status"]), (200, &Value::from("warn")));
    for (check, status, part) in [
        ("destination:otlp/datadog", "warn", "breaker is open"),
        ("dead_letters", "warn", "4 spans"),
        ("spill", "pass", ""),
        ("spill:set_aside", "warn", "/a/b"),
        ("chain:8453", "warn", "down: operations are attempted and none succeeds"),
        ("chain:1", "pass", ""),
        ("metrics:otlp/a", "warn", "2 points"),
        ("receiver", "pass", ""),
    ] {
        let entry = &body["checks"][check][0];
        assert_eq!(entry["status"], status, "{check}: {body}");
        assert!(entry["output"].as_str().unwrap().contains(part), "{check}: {entry}");
    }
    admin.chains.lock().unwrap().clear();
    admin.destinations.lock().unwrap()[0] = destination("otlp/datadog", Role::Required);
    *admin.store.lock().unwrap() = Some(StoreStatus::default());
    *admin.exported.lock().unwrap() = vec![ExportedPoints { exporter: "otlp/a".to_owned(), sent: 9, lost: 2 }];
    let (_, body) = admin.ready("pass").await;
    assert!(body["checks"]["chain:8453"].is_null(), "{body}");
}

/// `/status` shows the moment it was asked, not the last check.
#[tokio::test(flavor = "multi_thread")]
async fn status_is_of_this_moment() {
    let admin = Admin::start().await;
    for delivered in 0..20 {
        admin.destinations.lock().unwrap()[0].spans.delivered = delivered;
        let (_, status) = admin.json("/status").await;
        assert_eq!(status["destinations"]["otlp/datadog"]["spans"]["delivered"], delivered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_are_answered_helpfully() {
    let admin = Admin::start().await;
    let unknown = admin.request("GET", "/metrics").await;
    assert_eq!(unknown.code, 404);
    assert!(unknown.body.contains("/status") && unknown.body.contains("Prometheus"), "{}", unknown.body);

    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let refused = admin.request(method, "/health").await;
        assert_eq!(refused.code, 405, "{method}");
        assert!(refused.head.contains("allow: get, head"), "{}", refused.head);
    }
    for path in ["/", "/health", "/health/ready", "/status", "/x"] {
        let (get, head) = (admin.request("GET", path).await, admin.request("HEAD", path).await);
        assert_eq!(get.code, head.code, "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    let health = admin.request("GET", "/health").await;
    assert!(health.head.contains("content-type: application/health+json"), "{}", health.head);
    let page = admin.request("GET", "/").await;
    for link in ["\"/status\"", "\"/health\"", "\"/health/ready\"", "http://127.0.0.1:9464/metrics"] {
        assert!(page.body.contains(link), "{link}: {}", page.body);
    }
}

/// Connections that say nothing do not keep others from being answered.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_hide_health() {
    let admin = Admin::start().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(admin.address).await.unwrap());
    }
    assert_eq!(admin.request("GET", "/health").await.code, 200);
}
