//! What goes wrong between gateways and chainspan does not go wrong in the numbers: late batches, wrong clocks, batches sent
//! twice, answers that get lost, a restart under load. Where nobody can know whether a batch counts, the numbers stay within
//! the bounds that follow from it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use crate::support::{NAMESPACE, Setup, alone, assert_page, assert_timing, send, sum};
use chainspan_sim::{FaultPlan, Progress, Relay, Truth, WindowScope, check_windows};

const MINUTE: Duration = Duration::from_secs(60);

/// Batches that were held back ten minutes, batches from the future, two gateways with wrong clocks, and batches that are
/// sent again after their acknowledgement: every running total equals the truth, what was acknowledged twice counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn late_early_and_repeated_batches_are_counted_exactly() {
    let _alone = alone().await;
    let setup = Setup::start().await;
    let faults = FaultPlan::seeded(11)
        .held_back(100, MINUTE * 10)
        .from_the_future(50, MINUTE)
        .clock_behind(1, MINUTE * 5)
        .clock_ahead(2, MINUTE / 2)
        .resent(100);
    let relay = Relay::start(setup.grpc(), &faults).await.unwrap();
    let progress = setup.measures(Truth::new());
    send(&relay, &faults, 1, Duration::from_secs(4), &progress).await;

    let report = progress.report();
    assert_eq!((report.ambiguous, report.refused), (0, 0), "{report:?}");
    assert!(report.resent > 0 && report.acknowledged == report.sent, "{report:?}");
    let page = setup.page().await;
    progress.with_truth(|truth| {
        let timing = truth.timing();
        assert!(timing.late_at_least > 0 && timing.future_at_least > 0, "{timing:?}");
        assert_eq!(truth.spans(), report.acknowledged);
        assert_page(truth, &page);
        assert_timing(truth, &page);
        let delivery = setup.agent.verify(truth);
        assert!(delivery.is_complete() && delivery.repeated > 0, "{delivery:?}");
    });
    setup.service.shut_down().await.unwrap();
    progress.with_truth(|truth| assert_totals(truth, &setup.agent.metrics()));
}

/// Connections are cut at the moment in which an answer begins to be written: the batches in flight there are ambiguous,
/// and every series lies between the truth without them and the truth with them. That some of them were counted shows that
/// the difference is not an empty excuse.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_the_only_permitted_difference() {
    let _alone = alone().await;
    let setup = Setup::start().await;
    let faults = FaultPlan::seeded(12).cut(80);
    let relay = Relay::start(setup.grpc(), &faults).await.unwrap();
    let progress = setup.measures(Truth::new());
    send(&relay, &faults, 2, Duration::from_secs(4), &progress).await;

    let report = progress.report();
    assert!(relay.cuts() > 0 && report.ambiguous > 0, "{} cuts, {report:?}", relay.cuts());
    assert_eq!(report.sent, report.acknowledged + report.ambiguous + report.refused, "{report:?}");
    let page = setup.page().await;
    progress.with_truth(|truth| {
        assert_page(truth, &page);
        assert_timing(truth, &page);
        let sure = truth.operations() as f64;
        let perhaps = truth.uncertain().map_or(0, Truth::operations) as f64;
        let measured = sum(&page, "avs_gateway_operations_total").unwrap();
        assert!(measured > sure && measured <= sure + perhaps, "{sure} < {measured} <= {sure} + {perhaps}");
        let delivery = setup.agent.verify(truth);
        assert!(delivery.is_complete(), "{delivery:?}");
    });
    setup.service.shut_down().await.unwrap();
    progress.with_truth(|truth| assert_totals(truth, &setup.agent.metrics()));
}

/// chainspan is told to stop under load and another one takes its place: every span that either acknowledged is delivered
/// with its tag, and what the windows of both hold adds up to the truth.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_loses_and_doubles_nothing() {
    let _alone = alone().await;
    let setup = Setup::start().await;
    let faults = FaultPlan::seeded(13).restarted();
    let relay = Arc::new(Relay::start(setup.grpc(), &faults).await.unwrap());
    let progress = setup.measures(Truth::new());
    let run = {
        let (relay, progress) = (Arc::clone(&relay), Arc::clone(&progress));
        tokio::spawn(async move { send(&relay, &faults, 3, Duration::from_secs(6), &progress).await })
    };
    assert!(acknowledged(&progress, 1_000).await, "{:?}", progress.report());
    relay.redirect(None);
    let Setup { agent, service, .. } = setup;
    service.shut_down().await.unwrap();
    let before = progress.acknowledged();
    let second = Setup::over(agent).await;
    relay.redirect(Some(second.grpc()));
    run.await.unwrap();

    let report = progress.report();
    assert!(report.acknowledged > before, "{report:?}");
    assert_eq!(report.refused, 0, "{report:?}");
    let page = second.page().await;
    progress.with_truth(|truth| {
        let measured = sum(&page, "avs_gateway_operations_total").unwrap();
        let most = truth.operations() + truth.uncertain().map_or(0, Truth::operations);
        assert!(measured > 0.0 && measured < most as f64, "the second one counts its own: {measured} of {most}");
        let delivery = second.agent.verify(truth);
        assert!(delivery.is_complete(), "{delivery:?}");
    });
    second.service.shut_down().await.unwrap();
    progress.with_truth(|truth| assert_totals(truth, &second.agent.metrics()));
}

/// A real chainspan under an even load of spans that come in at once: every window holds exactly what ended in it, windows
/// follow each other without a gap, and the last ones come with the shutdown.
#[tokio::test(flavor = "multi_thread")]
async fn every_window_holds_what_ended_in_it() {
    let _alone = alone().await;
    let setup = Setup::start().await;
    let faults = FaultPlan::seeded(21);
    let relay = Relay::start(setup.grpc(), &faults).await.unwrap();
    let progress = setup.measures(Truth::by_window());
    send(&relay, &faults, 4, Duration::from_secs(12), &progress).await;
    let page = setup.page().await;
    setup.service.shut_down().await.unwrap();
    progress.with_truth(|truth| {
        assert_page(truth, &page);
        assert_timing(truth, &page);
        assert!(truth.windows().count() >= 2);
        // A span may have been late, if its window was over when chainspan began or if the machine stood still for ten
        // seconds: then only the totals are known.
        let on_time = truth.timing().all_on_time();
        let scope = if on_time { WindowScope::EachWindow } else { WindowScope::Totals };
        let found = check_windows(&setup.agent.metrics(), truth, NAMESPACE, chainspan_sim::MEASURED, scope);
        assert!(found.problems.is_empty(), "{} problems:\n{}", found.problems.len(), found.problems.join("\n"));
        assert_eq!(found.gaps, 0, "{:?}", found.windows);
        assert!(found.windows.len() >= 2 && found.ragged <= 2, "{:?}", found.windows);
        assert!(found.exemplars > 0);
    });
}

/// Waits until `spans` are acknowledged; `false` when that takes more than 20 s.
async fn acknowledged(progress: &Progress, spans: u64) -> bool {
    let reached = async {
        while progress.acknowledged() < spans {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.is_ok()
}

fn assert_totals(
    truth: &Truth,
    exports: &[opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest],
) {
    let found = check_windows(exports, truth, NAMESPACE, chainspan_sim::MEASURED, WindowScope::Totals);
    assert!(found.problems.is_empty(), "{} problems:\n{}", found.problems.len(), found.problems.join("\n"));
    assert!(found.points > 0 && !found.windows.is_empty(), "{found:?}");
}
