//! The comparison of truth and measurement must find whatever is wrong, and nothing else.

use std::sync::Arc;

use chainspan_sim::{BatchFacts, Chain, FAMILIES, Identity, Measurements, OperationFact, SpanKey, Truth, gateways};

fn fact() -> OperationFact {
    OperationFact {
        span: SpanKey(1),
        chain: Some(8_453),
        operation: "bls_aggregation",
        outcome: "failure",
        reason: "no_responses",
        class: "quorum",
        end_unix_nano: 1_800_000_000_000_000_000,
        duration_nano: 4_000_000_000,
        attempts: Some(2),
        ratio: Some(0.0),
        margin: Some(-0.67),
        webhook: None,
        measurements: Measurements::default(),
    }
}

fn truth_of(facts: Vec<OperationFact>) -> Truth {
    let identity =
        Arc::new(Identity { service: "gw".to_owned(), environment: "prod".to_owned(), instance: "gw-0".to_owned() });
    let mut truth = Truth::new();
    truth.add(&BatchFacts { spans: facts.len() as u64, operations: facts, ..BatchFacts::new(identity) });
    truth
}

/// One operation, and the page as a person would write it from the catalogue of metrics.
#[test]
fn a_page_written_by_hand_is_equal() {
    let who = "service_name=\"gw\",deployment_environment_name=\"prod\",chain_id=\"8453\"";
    let mut page = format!(
        "# TYPE avs_gateway_operations_total counter\n\
         avs_gateway_operations_total{{{who},operation=\"bls_aggregation\",outcome=\"failure\",error_type=\"no_responses\"}} 1\n\
         avs_gateway_quorum_failures_total{{{who},reason=\"no_responses\",class=\"quorum\"}} 1\n\
         chainspan_series 9\nprocess_cpu_seconds_total 0.2\n"
    );
    let histogram = |page: &mut String, name: &str, labels: &str, bounds: &[f64], value: f64| {
        for bound in bounds {
            let count = u8::from(value <= *bound + 1e-9);
            *page += &format!("avs_gateway_{name}_bucket{{{who},{labels}le=\"{bound:?}\"}} {count}\n");
        }
        *page += &format!("avs_gateway_{name}_bucket{{{who},{labels}le=\"+Inf\"}} 1\n");
        *page += &format!(
            "avs_gateway_{name}_sum{{{who},{labels}}} {value}\navs_gateway_{name}_count{{{who},{labels}}} 1\n"
        );
        *page += &format!("avs_gateway_{name}_created{{{who},{labels}}} 1.7e9\n");
    };
    let durations = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 24.0, 30.0, 45.0,
        60.0, 120.0, 240.0, 360.0, 600.0,
    ];
    let ratios: Vec<f64> = (0..=20).map(|step| f64::from(step) * 0.05).collect();
    let margins: Vec<f64> = (0..=40).map(|step| -1.0 + f64::from(step) * 0.05).collect();
    let both = "operation=\"bls_aggregation\",outcome=\"failure\",";
    histogram(&mut page, "operation_duration_seconds", both, &durations, 4.0);
    histogram(&mut page, "quorum_signed_stake_ratio", "outcome=\"failure\",", &ratios, 0.0);
    histogram(&mut page, "quorum_margin", "", &margins, -0.67);
    let attempts = [1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 13.0, 21.0];
    histogram(&mut page, "operation_attempts", "operation=\"bls_aggregation\",", &attempts, 2.0);
    let differences = truth_of(vec![fact()]).compare(&page, "avs.gateway").unwrap();
    assert!(differences.is_empty(), "{}", differences[0]);
}

/// An off-by-one, a missing series, a surplus series and a wrong label are each found, by name; the house form of the
/// namespace works too.
#[test]
fn planted_differences_are_found() {
    let mut truth = Truth::new();
    for mut gateway in gateways(1, &Chain::with_profiles(&[1, 8_453, 42_161, 10, 137]), 9) {
        truth.add(&gateway.next_batch(1_500, 1_800_000_000_000_000_000).facts);
    }
    let namespace = "newton_avs_gateway";
    let series: Vec<(String, f64)> =
        truth.series_of(namespace, &FAMILIES).into_iter().map(|(series, value)| (series.to_string(), value)).collect();
    let page = |series: &[(String, f64)]| -> String {
        series.iter().map(|(series, value)| format!("{series} {value}\n")).collect()
    };
    assert!(truth.compare_only(&page(&series), namespace, &FAMILIES).unwrap().is_empty());
    assert!(series.len() > 1_000);

    for family in [
        "operations_total",
        "operation_duration_seconds_bucket",
        "operation_duration_seconds_sum",
        "quorum_failures_total",
        "tx_failures_total",
        "webhook_deliveries_total",
        "quorum_signed_stake_ratio_bucket",
        "quorum_margin_count",
        "operation_attempts_sum",
        "quorum_time_to_threshold_seconds_bucket",
        "operator_responses_total",
        "tx_exhausted_total",
        "tx_confirmation_duration_seconds_sum",
        "tx_queue_duration_seconds_count",
        "tx_batch_items_total",
        "webhook_exhausted_total",
        "tx_nonce_gap",
        "circuit_breaker_state",
    ] {
        let at = series
            .iter()
            .position(|(series, value)| series.starts_with(&format!("{namespace}_{family}")) && *value > 0.0)
            .unwrap_or_else(|| panic!("{family} must occur"));
        let mut off_by_one = series.clone();
        off_by_one[at].1 += 1.0;
        let found = truth.compare_only(&page(&off_by_one), namespace, &FAMILIES).unwrap();
        assert_eq!(found.len(), 1, "{family}");
        assert!(found[0].to_string().starts_with("different: "), "{}", found[0]);
        assert!(found[0].to_string().contains(family) && found[0].to_string().contains("(+1)"), "{}", found[0]);

        let mut missing = series.clone();
        missing.remove(at);
        let found = truth.compare_only(&page(&missing), namespace, &FAMILIES).unwrap();
        assert_eq!(found.len(), 1, "{family}");
        assert!(found[0].to_string().starts_with("missing: "), "{}", found[0]);

        let mut renamed = series.clone();
        renamed[at].0 = renamed[at].0.replace("chain_id=\"", "chain_id=\"9");
        if renamed[at].0.contains("unknown") {
            continue;
        }
        let found = truth.compare_only(&page(&renamed), namespace, &FAMILIES).unwrap();
        assert_eq!(found.len(), 2, "{family}: one missing, one surplus");
        assert!(found.iter().any(|difference| difference.to_string().starts_with("surplus: ")));
    }
    let mut zero = series.clone();
    zero.push((format!("{namespace}_tx_failures_total{{chain_id=\"5\",reason=\"reverted\"}}"), 0.0));
    assert!(truth.compare_only(&page(&zero), namespace, &FAMILIES).unwrap().is_empty(), "a counter at 0 says nothing");
    assert!(truth.compare_only("<html>", namespace, &FAMILIES).is_err());
}

/// A duration that is wrong by five microseconds in one of a thousand spans is found in the sum.
#[test]
fn five_microseconds_are_found() {
    let one = vec![fact(); 1_000];
    let mut other = one.clone();
    other[500].duration_nano -= 5_000;
    let page: String = truth_of(other)
        .series("avs.gateway")
        .into_iter()
        .map(|(series, value)| format!("{series} {value}\n"))
        .collect();
    let differences = truth_of(one).compare(&page, "avs.gateway").unwrap();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].series.name.ends_with("_sum"));
}
