//! The end of a process as its clients and its supervisor see it: what is in hand is finished or handed back, in time, and
//! the exit code says which.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chainspan_testing::chainspan::{Chainspan, assert_conservation};
use chainspan_testing::front_door::{Setup, assert_told_to_retry, eventually, export, spans};
use chainspan_testing::otlp::{int, span, trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

fn request() -> ExportTraceServiceRequest {
    traces("gateway", vec![span("process task", Duration::from_millis(1), vec![int("chain_id", 1)])])
}

/// A request that the destination has in hand when this returns.
async fn in_hand(chainspan: &Chainspan, fault: &FaultServer) -> JoinHandle<Result<(), Status>> {
    let client = trace_client(chainspan.grpc()).await;
    let sent = tokio::spawn(async move { export(&client, request()).await });
    fault.arrived(1).await;
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_hand_are_finished_and_new_ones_are_sent_elsewhere() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold]);
    let mut chainspan = Setup::default().start(fault.address());
    // A busy client: its next request is on its way when it hears of the end.
    let busy = trace_client(chainspan.grpc()).await;
    let sent = in_hand(&chainspan, &fault).await;
    chainspan.signal("TERM");
    eventually("not ready", || chainspan.admin("/health/ready").status == 503).await;
    assert_eq!(chainspan.admin("/health").status, 200, "nobody need kill it");
    assert_eq!(chainspan.metrics().lines().filter(|line| line.starts_with("avs_gateway_operations_total")).count(), 0);
    let refused = export(&busy, request()).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(!sent.is_finished());
    assert_eq!(spans(&chainspan, "otlp/datadog", "in_flight"), 1);
    assert_conservation(&chainspan.status());
    fault.release(1);
    sent.await.expect("no panic").expect("finished, and acknowledged");
    assert_eq!(chainspan.ended().code(), Some(0), "{}", chainspan.stderr());
    assert_eq!(fault.accepted_spans().len(), 1);
}

/// Sixteen clients send without a pause while it ends: whatever was acknowledged is at the destination, and nothing that
/// was refused is there.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_answer_is_the_truth() {
    let fault = FaultServer::start().await;
    let mut chainspan = Setup::default().start(fault.address());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = trace_client(chainspan.grpc()).await;
        clients.spawn(async move {
            for acknowledged in 0.. {
                if let Err(status) = export(&client, request()).await {
                    return (acknowledged, status);
                }
            }
            unreachable!("it ends")
        });
    }
    eventually("under way", || spans(&chainspan, "otlp/datadog", "delivered") > 100).await;
    assert_eq!(chainspan.terminate().code(), Some(0), "{}", chainspan.stderr());
    let mut acknowledged = 0;
    while let Some(client) = clients.join_next().await {
        let (count, status) = client.expect("no panic");
        // A request that the client had no connection for any more ends in an error of its own transport: nobody answered.
        let unsent = std::error::Error::source(&status).is_some();
        assert!(unsent || status.code() == Code::Unavailable, "{status:?}");
        acknowledged += count;
    }
    let accepted = fault.accepted_spans();
    assert!(accepted.values().all(|times| *times == 1));
    assert_eq!(accepted.len(), acknowledged);
}

/// The destination is down when the end comes: clients are told to retry, which they do elsewhere, and the supervisor
/// sees that the promise was not kept.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_destination_down_it_ends_in_time_and_says_so() {
    let fault = FaultServer::start().await;
    fault.always(Act::Refuse(Code::Unavailable, "closed", None));
    let mut chainspan = Setup { shutdown_timeout: "1s", ..Setup::default() }.start(fault.address());
    let sent = in_hand(&chainspan, &fault).await;
    let begin = Instant::now();
    let status = chainspan.terminate();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(1), "{}", chainspan.stderr());
    assert_told_to_retry(sent.await.expect("no panic"));
    let log = chainspan.stderr();
    assert!(log.contains("otlp/datadog") && log.contains("shutdown_timeout"), "{log}");
}

/// A destination that would answer at the very end: by then the last window has left, so its request goes back to the client,
/// uncounted, while there is still time to send that window.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_counted_any_more_is_handed_back() {
    let fault = Arc::new(FaultServer::start().await);
    fault.then([Act::Hold]);
    let mut chainspan = Setup { shutdown_timeout: "8s", ..Setup::default() }.start(fault.address());
    let sent = in_hand(&chainspan, &fault).await;
    chainspan.signal("TERM");
    let release = fault.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        release.release(1);
    });
    assert_told_to_retry(sent.await.expect("no panic"));
    assert_eq!(chainspan.ended().code(), Some(1), "{}", chainspan.stderr());
    let measured = fault.received().into_iter().filter(|request| request.path.contains("MetricsService"));
    let counted = measured.filter(|request| String::from_utf8_lossy(&request.body).contains("avs.gateway.operations"));
    assert_eq!(counted.count(), 0);
}

/// A debug destination that is down is no reason to wait, nor to fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_debug_destination_does_not_hold_up_the_end() {
    let (fault, jaeger) = (FaultServer::start().await, FaultServer::start().await);
    jaeger.always(Act::BlackHole);
    let second = Some((jaeger.address(), "role: debug"));
    let mut chainspan = Setup { second, shutdown_timeout: "10m", ..Setup::default() }.start(fault.address());
    in_hand(&chainspan, &fault).await.await.expect("no panic").expect("accepted");
    assert_eq!(chainspan.terminate().code(), Some(0), "{}", chainspan.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let fault = FaultServer::start().await;
    fault.always(Act::Hold);
    let mut chainspan = Setup { shutdown_timeout: "10m", ..Setup::default() }.start(fault.address());
    let sent = in_hand(&chainspan, &fault).await;
    chainspan.signal("TERM");
    eventually("draining", || chainspan.stderr().contains("draining")).await;
    chainspan.signal("INT");
    assert_eq!(chainspan.ended().code(), Some(1), "{}", chainspan.stderr());
    sent.await.expect("no panic").expect_err("never acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let fault = FaultServer::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("bound").to_string();
    for (component, port) in [("grpc", 0), ("prometheus", 1), ("health_check", 2)] {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("collector-config.yaml");
        let yaml = Setup::default().yaml(fault.address());
        let place = yaml.match_indices("127.0.0.1:0").nth(port).expect("three endpoints").0;
        std::fs::write(&config, format!("{}{taken}{}", &yaml[..place], &yaml[place + "127.0.0.1:0".len()..]))
            .expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_chainspan")).arg("run").arg("--config").arg(&config).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains(component) && last.contains(&taken) && last.contains("in use"), "{said}");
    }
}

/// With a store and the destination down: it does not wait for it, exits 0, and clients in hand hear OK. The next process
/// delivers all of it.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_store_the_end_keeps_everything_and_the_next_process_delivers_it() {
    for act in [Act::Refuse(Code::Unavailable, "closed", None), Act::BlackHole] {
        let fault = FaultServer::start().await;
        fault.always(act.clone());
        let directory = tempfile::tempdir().expect("a directory");
        let store = format!("directory: {:?}", directory.path());
        // The grace is long: it is the end that has what is left written.
        let setup = Setup { store: &store, datadog: "spill_after: 5s", shutdown_timeout: "4s", ..Setup::default() };
        let mut chainspan = setup.start(fault.address());
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let client = trace_client(chainspan.grpc()).await;
            clients.spawn(async move { export(&client, request()).await });
        }
        eventually("in hand", || {
            spans(&chainspan, "otlp/datadog", "in_flight") + spans(&chainspan, "otlp/datadog", "spilled") == 8
        })
        .await;
        let begin = Instant::now();
        assert_eq!(chainspan.terminate().code(), Some(0), "{act:?}: {}", chainspan.stderr());
        assert!(begin.elapsed() < Duration::from_secs(10), "{act:?}: {:?}", begin.elapsed());
        while let Some(answer) = clients.join_next().await {
            answer.expect("no panic").expect("on disk");
        }
        fault.always(Act::Accept);
        let chainspan = setup.start(fault.address());
        eventually("delivered", || spans(&chainspan, "otlp/datadog", "delivered") == 8).await;
        assert_conservation(&chainspan.status());
        assert_eq!(fault.accepted_spans().len(), 8);
    }
}

/// A second signal, and one that cannot be caught: what was acknowledged is on disk by then.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_store_what_was_acknowledged_survives_any_end() {
    for signals in [&["TERM", "INT"][..], &["KILL"]] {
        let fault = FaultServer::start().await;
        fault.always(Act::BlackHole);
        let directory = tempfile::tempdir().expect("a directory");
        let store = format!("directory: {:?}", directory.path());
        let setup = Setup { store: &store, shutdown_timeout: "10m", ..Setup::default() };
        let mut chainspan = setup.start(fault.address());
        let client = trace_client(chainspan.grpc()).await;
        for _ in 0..5 {
            export(&client, request()).await.expect("on disk");
        }
        for signal in signals {
            chainspan.signal(signal);
            if *signal == "TERM" {
                eventually("draining", || chainspan.stderr().contains("draining")).await;
            }
        }
        assert_ne!(chainspan.ended().code(), Some(0), "{}", chainspan.stderr());
        fault.always(Act::Accept);
        let chainspan = setup.start(fault.address());
        eventually("delivered", || spans(&chainspan, "otlp/datadog", "delivered") == 5).await;
        assert_conservation(&chainspan.status());
        assert_eq!(fault.accepted_spans().len(), 5);
    }
}

/// A destination that hangs, under load: the end comes in time, with 0, and every acknowledged span arrives afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_store_under_load_nothing_that_was_acknowledged_is_lost() {
    let fault = FaultServer::start().await;
    fault.always(Act::BlackHole);
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("directory: {:?}", directory.path());
    let setup = Setup { store: &store, datadog: "spill_after: 20ms", shutdown_timeout: "3s", ..Setup::default() };
    let mut chainspan = setup.start(fault.address());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = trace_client(chainspan.grpc()).await;
        clients.spawn(async move {
            let mut acknowledged = 0_u64;
            while export(&client, request()).await.is_ok() {
                acknowledged += 1;
            }
            acknowledged
        });
    }
    eventually("under way", || spans(&chainspan, "otlp/datadog", "spilled") > 50).await;
    assert_eq!(chainspan.terminate().code(), Some(0), "{}", chainspan.stderr());
    let mut acknowledged = 0;
    while let Some(client) = clients.join_next().await {
        acknowledged += client.expect("no panic");
    }
    fault.always(Act::Accept);
    let chainspan = setup.start(fault.address());
    eventually("delivered", || spans(&chainspan, "otlp/datadog", "spilled") == 0).await;
    assert_conservation(&chainspan.status());
    let accepted = fault.accepted_spans();
    assert!(accepted.len() as u64 >= acknowledged, "{} of {acknowledged} arrived", accepted.len());
    assert!(accepted.values().all(|times| *times == 1));
}
