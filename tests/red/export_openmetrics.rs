//! The OpenMetrics side of a scrape: what it says beyond the text format, and that it says the same otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chainspan::export::prometheus::{Format, render, serve};
use chainspan::gateway::{Operation, OutcomeClass};
use chainspan::red::{
    Attributes, ChainLabel, Dims, DurationHistogram, Exemplar, Family, Metric, Series, SeriesValue, Snapshot,
};
use chainspan::telemetry::{ACCEPTED_SPANS, Telemetry};
use chainspan_testing::http_get;
use tokio::net::TcpListener;

use crate::support::chain;

/// A counter, a duration with exemplars in two buckets, a gauge.
fn snapshot() -> Snapshot {
    let mut durations = DurationHistogram::default();
    [3_000_000, 700_000_000, 900_000_000].into_iter().for_each(|nanos| durations.add(nanos));
    let series = |value| Series {
        dims: Arc::new(Dims(vec!["gate\"way\n".into()].into())),
        attributes: Attributes {
            chain: ChainLabel::Id(chain(1)),
            operation: Some(Operation::Task),
            outcome: Some(OutcomeClass::Success),
            reason: None,
            webhook: None,
            part: None,
            overflow: false,
        },
        subject: None,
        start_unix_nano: 1_700_000_000_500_000_000,
        value,
        exemplars: Vec::new(),
    };
    let seen = |id, duration_nano| Exemplar {
        duration_nano,
        end_unix_nano: 1_700_000_003_000_000_001,
        trace_id: [id; 16],
        span_id: [id; 8],
    };
    let mut timed = series(SeriesValue::Duration(Arc::new(durations)));
    timed.exemplars = vec![seen(0xab, 900_000_000), seen(0xcd, 700_000_000), seen(0x01, 3_000_000)];
    let family = |metric, series| Family { metric, series: vec![series] };
    Snapshot {
        namespace: "avs.gateway".into(),
        dimensions: Arc::new(["service.name".to_owned()]),
        families: vec![
            family(Metric::Operations, series(SeriesValue::Counter(3))),
            family(Metric::OperationDuration, timed),
            family(Metric::ChainHealth, series(SeriesValue::Gauge(2.0))),
        ],
        overflow_observations: 0,
        calls: Vec::new(),
        late: 4,
        future: 1,
    }
}

/// Families, units, creation times, exemplars and the end mark, to the letter.
#[test]
fn openmetrics_says_what_the_text_format_cannot() {
    let telemetry = Telemetry::new();
    telemetry.counter(ACCEPTED_SPANS, &[("signal", "traces")]).increment(3);
    let text = render(Format::OpenMetrics, Some(&snapshot()), &telemetry.samples());
    let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    let labels = r#"service_name="gate\"way\n",chain_id="1",operation="task",outcome="success""#;
    let duration = "avs_gateway_operation_duration_seconds";
    has("# TYPE avs_gateway_operations counter");
    has(&format!("avs_gateway_operations_total{{{labels}}} 3"));
    has(&format!("avs_gateway_operations_created{{{labels}}} 1700000000.5"));
    has(&format!("# TYPE {duration} histogram"));
    has(&format!("# UNIT {duration} seconds"));
    let exemplar = |id: &str| format!(r#"{{trace_id="{}",span_id="{}"}}"#, id.repeat(16), id.repeat(8));
    let end = "1700000003.000000001";
    has(&format!(r#"{duration}_bucket{{{labels},le="0.005"}} 1 # {} 0.003 {end}"#, exemplar("01")));
    has(&format!(r#"{duration}_bucket{{{labels},le="0.5"}} 1"#));
    has(&format!(r#"{duration}_bucket{{{labels},le="1.0"}} 3 # {} 0.9 {end}"#, exemplar("ab")));
    has(&format!(r#"{duration}_bucket{{{labels},le="+Inf"}} 3"#));
    has(&format!("{duration}_sum{{{labels}}} 1.603"));
    has(&format!("{duration}_created{{{labels}}} 1700000000.5"));
    has("# TYPE avs_gateway_chain_health gauge");
    has("# TYPE chainspan_receiver_accepted_spans counter");
    has(r#"chainspan_receiver_accepted_spans_total{signal="traces"} 3"#);
    has("chainspan_late_spans_total 4");
    has("chainspan_future_spans_total 1");
    has("# UNIT process_resident_memory_bytes bytes");
    assert!(text.ends_with("\n# EOF\n"));
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(families.len(), families.iter().collect::<BTreeSet<_>>().len(), "each family once: {families:?}");
}

/// A scraper that changes the format sees the same samples: only `le` is spelt differently.
#[test]
fn both_formats_hold_the_same_samples() {
    let samples = |text: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_created"));
        let lines = lines.map(|line| line.split_once(" # ").map_or(line, |(sample, _)| sample).replace(".0\"}", "\"}"));
        lines.map(|l| l.rsplit_once(' ').map(|(n, v)| (n.to_owned(), v.to_owned())).expect("name and value")).collect()
    };
    let text = render(Format::Text, Some(&snapshot()), &[]);
    assert_eq!(samples(&text), samples(&render(Format::OpenMetrics, Some(&snapshot()), &[])));
    assert!(!text.contains(" # ") && !text.contains("_created") && !text.contains("EOF"), "{text}");
}

/// The door gives each scraper what it asks for, and says which it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_negotiated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, |format| format!("{format:?}"), async { drop(stopped.await) }));
    let ask = |accept: &'static str| async move {
        let headers: &[(&str, &str)] = if accept.is_empty() { &[] } else { &[("Accept", accept)] };
        let headers = headers.to_vec();
        tokio::task::spawn_blocking(move || http_get::get(address, "/metrics", &headers).expect("an answer").body)
            .await
            .expect("no panic")
    };
    assert_eq!(ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await, "OpenMetrics");
    assert_eq!(ask("text/plain").await, "Text");
    assert_eq!(ask("").await, "Text");
    drop(stop);
    server.await.expect("ends by itself");
}
