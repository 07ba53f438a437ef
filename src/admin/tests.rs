//! What only shows when something hangs: with timing of our own, through real sockets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::heartbeat::Heartbeat;
use super::lifecycle::{Lifecycle, Phase};
use super::monitor::{Monitor, Timing};
use super::sources::Sources;
use crate::config::Role;
use crate::delivery::{BreakerState, Conservation, DestinationStatus};
use crate::pipeline::Budget;

const TIMING: Timing = Timing {
    interval: Duration::from_millis(20),
    timeout: Duration::from_millis(20),
    stalled_after: Duration::from_millis(400),
};

fn destination() -> DestinationStatus {
    DestinationStatus {
        name: "otlp/datadog".into(),
        role: Role::Required,
        spans: Conservation { accepted: 7, delivered: 7, ..Conservation::default() },
        requests: Conservation::default(),
        delivered_late: 0,
        queue_bytes: 0,
        backlog_age: None,
        failures: 0,
        breaker: BreakerState::Closed,
        last_error: None,
        unimplemented: Vec::new(),
    }
}

fn monitor(ask: impl Fn() -> Vec<DestinationStatus> + Send + Sync + 'static) -> Monitor {
    let lifecycle = Lifecycle::new();
    lifecycle.advance(Phase::Running).unwrap();
    let sources = Sources {
        destinations: Arc::new(ask),
        chains: Arc::new(Vec::new),
        store: Arc::new(|| None),
        exported: Arc::new(Vec::new),
    };
    Monitor::with_timing(BTreeMap::new(), sources, Budget::new(1 << 20), lifecycle, TIMING)
}

/// Status line and body. Blocking, so that it needs no runtime that works.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A runtime like the one that carries requests: one thread, which runs until the end of the test.
fn event_loop() -> Handle {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tell.send(runtime.handle().clone()).unwrap();
        runtime.block_on(std::future::pending::<()>());
    });
    told.recv().unwrap()
}

/// Scenario: something blocks the thread that carries requests. Guarantee: both health endpoints say 503, and answer; once the
/// thread is free again, so does health.
#[test]
fn a_stalled_event_loop_is_told() {
    let event_loop = event_loop();
    let listener = event_loop.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let monitor = monitor(|| vec![destination()]);
    event_loop.spawn(super::serve(Some(listener), monitor, std::future::pending()));
    until(|| get(address, "/health/ready").0 == 200);

    let (release, blocked) = mpsc::channel::<()>();
    event_loop.spawn(async move {
        let _ = blocked.recv();
    });
    until(|| get(address, "/health").0 == 503);
    let (code, body) = get(address, "/health/ready");
    assert_eq!(code, 503);
    assert!(body.contains("the thread that carries requests has not run anything"), "{body}");
    assert_eq!(get(address, "/status").0, 200);
    release.send(()).unwrap();
    until(|| get(address, "/health").0 == 200);
}

/// Scenario: it is busy without a pause for several times the limit, in many short polls. Guarantee: that is work, not a
/// stall.
#[test]
fn a_busy_event_loop_is_not_stalled() {
    let event_loop = event_loop();
    let mut heartbeat = Heartbeat::default();
    for _ in 0..4 {
        event_loop.spawn(async {
            loop {
                std::hint::black_box((0..10_000u64).sum::<u64>());
                tokio::task::yield_now().await;
            }
        });
    }
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(1) {
        heartbeat.observe(&event_loop);
        longest = longest.max(heartbeat.silent_for());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(longest < Duration::from_millis(900), "{longest:?}");
}

/// Scenario: asking the destinations hangs. Guarantee: the endpoint answers with what was known, `/status` shows the last
/// numbers, the destination degrades, and the instance stays alive; when it answers again, all is well at once.
#[test]
fn a_hanging_check_hangs_nothing() {
    let event_loop = event_loop();
    let listener = event_loop.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::new(Mutex::new(()));
    let monitor = monitor({
        let gate = gate.clone();
        move || {
            let _open = gate.lock().unwrap();
            vec![destination()]
        }
    });
    event_loop.spawn(super::serve(Some(listener), monitor, std::future::pending()));
    until(|| get(address, "/health/ready").1.contains("destination:otlp/datadog"));

    let closed = gate.lock().unwrap();
    until(|| {
        let (code, body) = get(address, "/health/ready");
        code == 200 && body.starts_with("{\"status\":\"warn\"")
    });
    assert_eq!(get(address, "/health").0, 200);
    let (code, body) = get(address, "/status");
    assert_eq!(code, 200);
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["destinations"]["otlp/datadog"]["spans"]["delivered"], 7);
    drop(closed);
    until(|| get(address, "/health/ready").1.starts_with("{\"status\":\"pass\""));
}

/// Scenario: a check hangs when the process is told to end. Guarantee: it ends.
#[test]
fn a_hanging_check_does_not_hold_up_the_end() {
    let event_loop = event_loop();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (asked, told) = mpsc::channel();
    let monitor = monitor(move || {
        let _ = asked.send(());
        let _ = gate.lock().unwrap().recv();
        Vec::new()
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let served = event_loop.spawn(super::serve(None, monitor, async move {
        let _ = stopped.await;
    }));
    told.recv().unwrap();
    stop.send(()).unwrap();
    event_loop
        .block_on(async { tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap().unwrap() });
    drop(release);
}

/// Dropping the future that serves ends the thread, so an aborted start leaves nothing behind.
#[test]
fn dropping_the_server_closes_its_socket() {
    let event_loop = event_loop();
    let listener = event_loop.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let served = event_loop.spawn(super::serve(Some(listener), monitor(Vec::new), std::future::pending()));
    until(|| get(address, "/health").0 == 200);
    served.abort();
    until(|| std::net::TcpStream::connect(address).is_err());
}
