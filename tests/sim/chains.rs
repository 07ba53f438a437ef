//! The two gauges that depend on when one looks, beside the truth: how long ago an operation of a chain last succeeded, and
//! how the chain is doing.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::support::{NAMESPACE, Setup, alone};
use chainspan_sim::{self as sim, BatchFacts, Chain, Client, ExportResult, RetryLimits, Truth, now_unix_nano};
use prost::Message;

/// Service, environment, chain, and for the age the operation.
type Labels = Vec<String>;

const KEYS: [&str; 4] = ["service_name", "deployment_environment_name", "chain_id", "operation"];

/// Nanoseconds at which each operation last succeeded, by all that was acknowledged.
fn last_successes(acknowledged: &[BatchFacts]) -> BTreeMap<Labels, u64> {
    let mut newest = BTreeMap::new();
    for facts in acknowledged {
        for fact in facts.operations.iter().filter(|fact| fact.outcome == "success") {
            let chain = fact.chain.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
            let identity = &facts.identity;
            let labels = vec![identity.service.clone(), identity.environment.clone(), chain, fact.operation.to_owned()];
            let end = newest.entry(labels).or_insert(0);
            *end = fact.end_unix_nano.max(*end);
        }
    }
    newest
}

/// What a chain is, for a run that is shorter than any of the times in the rules: an open breaker is down, more than 5 % of
/// at least ten operations or 2 % of at least five quorums failed is degraded.
fn healths(truth: &Truth) -> BTreeMap<Labels, f64> {
    #[derive(Default)]
    struct Counts {
        successes: u64,
        failures: u64,
        aggregations: u64,
        missed: u64,
    }
    let mut chains = BTreeMap::<Labels, Counts>::new();
    for (key, totals) in truth.totals() {
        let counts = chains.entry(vec![key.service.clone(), key.environment.clone(), key.chain_label()]).or_default();
        let count = totals.durations.count;
        counts.successes += if key.outcome == "success" { count } else { 0 };
        counts.failures += if key.outcome == "failure" { count } else { 0 };
        if key.operation == "bls_aggregation" {
            counts.aggregations += count;
            counts.missed += if key.outcome == "failure" && key.class == "quorum" { count } else { 0 };
        }
    }
    let open: BTreeSet<Labels> = truth
        .gauges()
        .filter(|(key, seen)| key.signer.is_empty() && seen.value == 2.0)
        .map(|(key, _)| {
            let chain = key.chain.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
            vec![key.service.clone(), key.environment.clone(), chain]
        })
        .collect();
    let health = |(labels, counts): (Labels, Counts)| {
        let Counts { successes, failures, aggregations, missed } = counts;
        let operations = successes + failures;
        let degraded = operations >= 10 && failures as f64 > operations as f64 * 0.05
            || aggregations >= 5 && missed as f64 > aggregations as f64 * 0.02;
        let health = match (open.contains(&labels), degraded) {
            (true, _) => 0.0,
            (false, true) => 1.0,
            (false, false) => 2.0,
        };
        (labels, health)
    };
    chains.into_iter().map(health).collect()
}

/// The series of `name` on a page by the first `labels` of [`KEYS`].
fn series(page: &str, name: &str, labels: usize) -> BTreeMap<Labels, f64> {
    let name = format!("{}_{name}", NAMESPACE.replace('.', "_"));
    let samples = sim::parse_exposition(page).unwrap();
    let of_name = samples.into_iter().filter(|(series, _)| series.name == name);
    of_name.map(|(s, value)| (KEYS[..labels].iter().map(|key| s.label(key).to_owned()).collect(), value)).collect()
}

/// Healthy and failing chains, two gateways: each age is that of the newest acknowledged success, to within the time that
/// the scrape took; each chain is found as its rates and breakers say, once two evaluations have agreed.
#[tokio::test(flavor = "multi_thread")]
async fn ages_and_health_are_those_of_the_truth() {
    let _alone = alone().await;
    let setup = Setup::start().await;
    let client = Client::new(&setup.grpc().to_string(), 1, RetryLimits::default()).unwrap();
    let (mut truth, mut acknowledged) = (Truth::new(), Vec::new());
    for mut gateway in sim::gateways(2, &Chain::with_profiles(&[1, 8_453, 42_161, 10, 137, 11_155_111]), 31) {
        for _ in 0..4 {
            let batch = gateway.next_batch(600, now_unix_nano());
            let answer = client.export(batch.request.encode_to_vec().into()).await;
            assert!(matches!(answer, ExportResult::Acknowledged), "{answer:?}");
            gateway.answered(batch.id, true);
            truth.add(&batch.facts);
            acknowledged.push(batch.facts);
        }
    }
    let newest = last_successes(&acknowledged);
    let before = now_unix_nano();
    let page = setup.page().await;
    let after = now_unix_nano();
    let ages = series(&page, "chain_last_success_age_seconds", 4);
    assert_eq!(ages.keys().collect::<Vec<_>>(), newest.keys().collect::<Vec<_>>());
    for (labels, age) in &ages {
        let [least, most] = [before, after].map(|now| now.saturating_sub(newest[labels]) as f64 / 1e9);
        assert!((least - 1e-6..=most + 1e-6).contains(age), "{labels:?} is {age} s old, not {least} to {most}");
    }

    let expected = healths(&truth);
    assert!((0..3).all(|health| expected.values().any(|found| *found == f64::from(health))), "{expected:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = series(&setup.page().await, "chain_health", 3);
        if found == expected {
            break;
        }
        assert!(Instant::now() < deadline, "expected {expected:#?}\nfound {found:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    setup.service.shut_down().await.unwrap();
}
