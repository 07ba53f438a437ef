//! Health and status as an orchestrator, an operator and a script see them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chainspan::admin::{self, Lifecycle, Phase, Readiness, State};
use chainspan::chain::ChainId;
use chainspan::config::Role;
use chainspan::delivery::{BreakerState, Conservation, DestinationStatus};
use chainspan::pipeline::Budget;
use chainspan::red::{Cause, ChainLabel, ChainState, Health};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Admin {
    address: SocketAddr,
    lifecycle: Lifecycle,
    destinations: Arc<Mutex<Vec<DestinationStatus>>>,
    budget: Budget,
    state: State,
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
        state(8453, Health::Down, Some(Cause::NoSuccess)),
        state(8453, Health::Healthy, None),
        state(1, Health::Healthy, None),
    ]
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
        let asked = destinations.clone();
        let state =
            State::new(listening, move || asked.lock().unwrap().clone(), chains, budget.clone(), lifecycle.clone());
        tokio::spawn(admin::serve(Some(listener), state.clone(), std::future::pending()));
        Self { address, lifecycle, destinations, budget, state }
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
    }
}

/// The phases of a process, through both health doors and through gRPC's readiness.
#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_phases() {
    let admin = Admin::start().await;
    let mut readiness = admin.state.readiness();
    let (code, body) = admin.ready("fail").await;
    assert_eq!((code, body["output"].as_str().unwrap()), (503, "starting"));
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

    admin.destinations.lock().unwrap()[0].failures = 3;
    admin.destinations.lock().unwrap()[0].last_error = Some("connection refused".into());
    let (code, body) = admin.ready("warn").await;
    assert_eq!(code, 200);
    let check = &body["checks"]["destination:otlp/datadog"][0];
    assert_eq!(check["status"], "warn");
    assert_eq!(check["observedValue"], 3);
    assert_eq!(check["output"], "connection refused");
    assert!(check["time"].as_str().unwrap().ends_with('Z') && check["age"].as_f64().unwrap() < 10.0, "{check}");
    assert_eq!(body["checks"]["receiver"][0]["status"], "pass");
    assert_eq!(admin.json("/health").await.0, 200);
    assert_eq!(*admin.state.readiness().borrow(), Readiness::Serving);

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
            "failures": 0,
            "last_error": null,
            "backlog_age_seconds": 1.5,
            "queue_bytes": 1234,
        }},
        "chains": {
            "1": {"health": "healthy", "why": null},
            "8453": {"health": "down", "why": "operations are attempted and none succeeds"},
        },
        "memory": {"resident_bytes": null, "budget_used_bytes": 0, "budget_limit_bytes": 1000},
    });
    assert_eq!(status, expected);
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
