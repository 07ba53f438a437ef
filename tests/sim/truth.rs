//! The promise of the whole: ten gateways, a real chainspan, clients that retry, a destination that is away for a while,
//! and every number equals the ground truth exactly.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chainspan::cli::demo;
use chainspan::service::Service;
use chainspan_sim::{self as sim, Agent, Chain, Client, Fleet, LoadPlan, Progress, RetryLimits, Truth};
use chainspan_testing::http_get;

use crate::support::alone;

const CHAINS: [u64; 8] = [1, 8_453, 42_161, 10, 137, 11_155_111, 560_048, 31_337];

/// Seconds of load; `CHAINSPAN_TRUTH_SECONDS=60` for the long run.
fn seconds() -> u64 {
    std::env::var("CHAINSPAN_TRUTH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// Ten gateways with retrying clients, while the destination refuses everything for a part of the run: what is measured
/// is exactly what was acknowledged, and every acknowledged span reached the destination with the right tag.
#[tokio::test(flavor = "multi_thread")]
async fn ten_gateways_are_measured_exactly() {
    let _alone = alone().await;
    let agent = Agent::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let mut config = demo::config(&agent.address().to_string());
    if let Some(gateway) = &mut config.gateway {
        gateway.max_series = 16_384;
    }
    let service = Service::start(config).await.unwrap();
    let grpc = service.listening()["otlp/grpc"].to_string();
    let metrics = service.listening()["prometheus"];

    let fleet = Fleet::start(sim::gateways(10, &Chain::with_profiles(&CHAINS), 42), 200).unwrap();
    let client = Arc::new(Client::new(&grpc, 10, RetryLimits::default()).unwrap());
    let duration = Duration::from_secs(seconds());
    let plan = LoadPlan { rate: Some(5_000.0), duration, in_flight: 80 };
    let progress = Arc::new(Progress::new(Truth::new()));
    let run = tokio::spawn(sim::drive(fleet, client, plan, Arc::clone(&progress)));

    let a_third = progress_reaches(&progress, 2_000).await;
    assert!(a_third, "chainspan acknowledged nothing: {:?}", progress.report());
    agent.set_available(false);
    tokio::time::sleep(duration / 4).await;
    agent.set_available(true);
    run.await.unwrap();

    let report = progress.report();
    assert_eq!(report.ambiguous, 0, "{report:?}");
    assert_eq!(report.sent, report.acknowledged + report.refused, "{report:?}");
    let page = http_get::fetch(metrics, "/metrics").await.unwrap();
    progress.with_truth(|truth| {
        let differences = truth.compare(&page, "avs.gateway").unwrap();
        let lines: Vec<String> = differences.iter().take(30).map(ToString::to_string).collect();
        assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), lines.join("\n"));
        assert_eq!(truth.spans(), report.acknowledged);
        let delivery = agent.verify(truth);
        assert!(delivery.is_complete(), "{delivery:?}");
        assert_eq!(delivery.checked, report.acknowledged);
    });
    service.shut_down().await.unwrap();
}

/// Waits until `spans` are acknowledged; `false` when that takes more than 20 s.
async fn progress_reaches(progress: &Progress, spans: u64) -> bool {
    let reached = async {
        while progress.acknowledged() < spans {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.is_ok()
}
