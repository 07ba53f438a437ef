//! What the simulated gateways make: always the same for the same seed, exactly as much as was asked for, and with a
//! truth that follows from the spans themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chainspan_sim::{
    BatchFacts, Chain, ExpectedTag, Flavour, Gateway, GatewaySettings, Measurements, OperationKey, SpanKey, Truth,
    gateways, spec,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

const NOW: u64 = 1_800_000_000_000_000_000;
const CHAINS: [u64; 6] = [1, 8_453, 42_161, 10, 137, 11_155_111];

fn gateway(flavour: Flavour, seed: u64) -> Gateway {
    let settings = GatewaySettings {
        service: "avs-gateway".to_owned(),
        environment: "production".to_owned(),
        instance: "gateway-0".to_owned(),
        flavour,
        chains: Chain::with_profiles(&CHAINS),
    };
    Gateway::new(settings, seed)
}

/// Two gateways with the same seed send the same bytes and mean the same; another seed sends something else.
#[test]
fn the_same_seed_makes_the_same_gateway() {
    let run = |seed| {
        let mut gateway = gateway(Flavour::RustSdk, seed);
        (0..20)
            .map(|index| {
                let batch = gateway.next_batch(100, NOW + index);
                gateway.answered(batch.id, index % 3 > 0);
                (batch.request.encode_to_vec(), batch.facts)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7)[0].0, run(8)[0].0);
}

/// A batch has exactly the spans that were asked for, whatever the number, and its facts speak of each of them.
#[test]
fn a_batch_has_exactly_the_spans_asked_for() {
    for flavour in [Flavour::Collector, Flavour::RustSdk] {
        for spans in [1, 2, 3, 7, 16, 512] {
            let mut gateway = gateway(flavour, 3);
            for _ in 0..30 {
                let batch = gateway.next_batch(spans, NOW);
                gateway.answered(batch.id, true);
                let count: usize = all_spans(&batch.request).count();
                assert_eq!(count, spans);
                assert_eq!(batch.facts.spans as usize, spans);
                assert_eq!(batch.facts.tags.len(), spans);
                assert_eq!(batch.facts.operations.len() as u64 + batch.facts.unclassified, batch.facts.spans);
            }
        }
    }
}

/// No two spans of any two gateways of a fleet share an id: otherwise nobody could count them at the far end.
#[test]
fn span_ids_are_unique_over_the_fleet() {
    let mut seen = BTreeSet::new();
    for mut gateway in gateways(10, &Chain::with_profiles(&CHAINS), 1) {
        for _ in 0..10 {
            for (key, _) in gateway.next_batch(512, NOW).facts.tags {
                assert!(seen.insert(key), "{key:?} twice");
            }
        }
    }
    assert_eq!(seen.len(), 10 * 10 * 512);
}

/// Every reason of the three families, every webhook class, every outcome and every kind of tag occurs: a table row that
/// nobody simulates is a row that nobody checks.
#[test]
fn everything_the_convention_knows_occurs() {
    let mut truth = Truth::new();
    for mut gateway in gateways(4, &Chain::with_profiles(&CHAINS), 5) {
        for _ in 0..150 {
            let batch = gateway.next_batch(512, NOW);
            gateway.answered(batch.id, true);
            truth.add(&batch.facts);
        }
    }
    let reasons_of = |operation: &str| -> BTreeSet<&str> {
        truth.totals().filter(|(key, _)| key.operation == operation).map(|(key, _)| key.reason.as_str()).collect()
    };
    for row in spec::QUORUM {
        assert!(reasons_of("bls_aggregation").contains(row.reason), "{}", row.reason);
    }
    for row in spec::TX {
        assert!(reasons_of("tx_submission").contains(row.reason), "{}", row.reason);
    }
    let classes: BTreeSet<&str> =
        truth.totals().flat_map(|(_, totals)| &totals.webhooks).map(|(class, _)| class.as_str()).collect();
    for (class, _) in spec::WEBHOOK {
        assert!(classes.contains(class), "{class}");
    }
    for (operation, _) in spec::OPERATION_NAMES {
        for outcome in ["success", "failure", "cancelled"] {
            let found = truth.totals().any(|(key, _)| key.operation == operation && key.outcome == outcome);
            assert!(found, "{operation} {outcome}");
        }
        if operation != "webhook_delivery" {
            assert!(reasons_of(operation).contains(spec::OTHER), "{operation}");
        }
    }
    assert!(reasons_of("task").contains("timeout"));
    let labels: BTreeSet<String> = truth.totals().map(|(key, _)| key.chain_label()).collect();
    assert_eq!(labels.len(), CHAINS.len() + 1, "{labels:?}");
    for kind in [ExpectedTag::Absent, ExpectedTag::Invalid, ExpectedTag::Canonical(8_453)] {
        assert!(truth.tags().values().any(|tag| *tag == kind), "{kind:?}");
    }
}

/// What a span shows in its attributes is what its fact says of sizes, waiting times, nonces, operators and breakers; and
/// every one of them occurs.
#[test]
fn figures_follow_from_the_attributes() {
    let mut seen = BTreeMap::new();
    for (flavour, seed) in [(Flavour::Collector, 21), (Flavour::RustSdk, 22)] {
        let mut gateway = gateway(flavour, seed);
        for turn in 0..30 {
            let batch = gateway.next_batch(400, NOW + turn);
            gateway.answered(batch.id, true);
            let spans: HashMap<SpanKey, &Span> =
                all_spans(&batch.request).map(|span| (SpanKey::of(&span.span_id), span)).collect();
            for fact in &batch.facts.operations {
                let span = spans[&fact.span];
                let nanos = |key| number(span, key).map(|seconds| (seconds * 1e9).round() as u64);
                let count = |key| number(span, key).map(|count| count as u64);
                let shown = Measurements {
                    time_to_threshold_nano: nanos("avs.quorum.time_to_threshold"),
                    responses: count("avs.operators.total").map(|total| {
                        let (signed, rejected) = (count("avs.operators.signed"), count("avs.operators.rejected"));
                        let (signed, rejected) = (signed.unwrap(), rejected.unwrap());
                        [signed, rejected, total - signed - rejected]
                    }),
                    confirmation_nano: nanos("evm.tx.confirmation.duration"),
                    queue_nano: nanos("evm.tx.queue.duration"),
                    items: count("evm.tx.batch.size").map(|size| {
                        let failed = count("evm.tx.batch.failed").unwrap();
                        [size - failed, failed]
                    }),
                    exhausted: ["evm.tx.exhausted", "webhook.exhausted"]
                        .iter()
                        .any(|key| matches!(value(span, key), Some(Value::BoolValue(true)))),
                    nonce_gap: count("evm.tx.nonce_pending").map(|pending| {
                        let gap = pending - count("evm.tx.nonce_latest").unwrap();
                        (gap as i64, fact.measurements.nonce_gap.unwrap().1)
                    }),
                    breaker: text(span, "circuit_breaker.state").map(|state| {
                        let number = ["closed", "half_open", "open"].iter().position(|name| *name == state).unwrap();
                        (number as u8, fact.measurements.breaker.unwrap().1)
                    }),
                };
                assert_eq!(fact.measurements, shown, "{span:?}");
                assert_eq!(fact.end_unix_nano, span.end_time_unix_nano);
                assert_eq!(
                    fact.measurements.nonce_gap.map(|(_, signer)| signer),
                    shown.nonce_gap.and(text(span, "evm.signer.alias"))
                );
                assert_eq!(fact.measurements.breaker.map(|(_, target)| target), text(span, "circuit_breaker.target"));
                for (what, there) in [
                    ("time to threshold", shown.time_to_threshold_nano.is_some()),
                    ("responses", shown.responses.is_some()),
                    ("confirmation", shown.confirmation_nano.is_some()),
                    ("queue", shown.queue_nano.is_some()),
                    ("items", shown.items.is_some()),
                    ("exhausted transaction", shown.exhausted && fact.operation == "tx_submission"),
                    ("exhausted webhook", shown.exhausted && fact.operation == "webhook_delivery"),
                    ("nonce gap", shown.nonce_gap.is_some()),
                    ("breaker", shown.breaker.is_some()),
                ] {
                    *seen.entry(what).or_insert(0) += u64::from(there);
                }
            }
        }
    }
    assert!(seen.values().all(|times| *times > 0), "{seen:?}");
}

fn value<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match value(span, key)? {
        Value::StringValue(text) => Some(text),
        other => panic!("{key} is {other:?}"),
    }
}

/// A number as either SDK writes it.
fn number(span: &Span, key: &str) -> Option<f64> {
    match value(span, key)? {
        Value::IntValue(number) => Some(*number as f64),
        Value::DoubleValue(number) => Some(*number),
        Value::StringValue(text) => Some(text.parse().unwrap()),
        other => panic!("{key} is {other:?}"),
    }
}

/// Whatever order batches are added in, and whether one by one or merged, the sums are the same and fit together; a truth
/// survives being written to a file.
#[test]
fn sums_fit_together_and_survive_a_file() {
    let mut gateway = gateway(Flavour::Collector, 11);
    let facts: Vec<BatchFacts> = (0..40).map(|_| gateway.next_batch(200, NOW).facts).collect();
    let mut whole = Truth::new();
    facts.iter().for_each(|facts| whole.add(facts));
    let (mut left, mut right) = (Truth::new(), Truth::new());
    facts.iter().enumerate().for_each(|(index, facts)| if index % 2 == 0 { left.add(facts) } else { right.add(facts) });
    right.merge(&left);
    assert_eq!(right.spans(), 8_000);
    assert_eq!(right.spans(), right.operations() + right.unclassified());
    assert_eq!(right.tags(), whole.tags());
    assert!(whole.compare(&exposition(&right), "avs.gateway").unwrap().is_empty());
    for (_, totals) in whole.totals() {
        assert_eq!(totals.durations.buckets.iter().sum::<u64>(), totals.durations.count);
        assert!(totals.durations.sum_nano <= totals.durations.count * totals.durations.max_nano);
    }
    let by_hand: u64 = facts.iter().flat_map(|facts| &facts.operations).map(|fact| fact.duration_nano).sum();
    assert_eq!(whole.totals().map(|(_, totals)| totals.durations.sum_nano).sum::<u64>(), by_hand);
    let longest = facts.iter().flat_map(|facts| &facts.operations).map(|fact| fact.duration_nano).max();
    let measured = whole.quantile(1.0, |_: &OperationKey| true).unwrap() as f64;
    assert!((measured / longest.unwrap() as f64 - 1.0).abs() < 0.002);

    let back: Truth = serde_json::from_slice(&serde_json::to_vec(&whole).unwrap()).unwrap();
    assert!(whole.compare(&exposition(&back), "avs.gateway").unwrap().is_empty());
    assert_eq!(back.spans(), whole.spans());
}

/// A reader who knows only the rules of the convention finds for every span the chain that the simulator wrote down: each
/// chain is well defined by what was sent with it or acknowledged before.
#[test]
fn every_chain_follows_from_what_was_sent() {
    for (flavour, seed) in [(Flavour::RustSdk, 1), (Flavour::Collector, 2), (Flavour::RustSdk, 3)] {
        let mut gateway = gateway(flavour, seed);
        let mut known: HashMap<Vec<u8>, BTreeSet<u64>> = HashMap::new();
        let (mut inherited, mut from_before, mut ambiguous) = (0, 0, 0);
        for turn in 0..120 {
            let batch = gateway.next_batch(100, NOW);
            // Some batches get lost: what belongs to them must not be sent.
            let acknowledged = turn % 5 > 0;
            gateway.answered(batch.id, acknowledged);
            let expected: BTreeMap<SpanKey, ExpectedTag> = batch.facts.tags.iter().copied().collect();
            let before = known.clone();
            for (resource, scope, span) in levels(&batch.request) {
                if let Some(chain) = own(span, scope, resource).filter(|_| sound(&span.trace_id)) {
                    known.entry(span.trace_id.clone()).or_default().insert(chain);
                }
            }
            for (resource, scope, span) in levels(&batch.request) {
                let own = own(span, scope, resource);
                let shown = known.get(&span.trace_id).filter(|_| sound(&span.trace_id));
                let chain = own.or_else(|| shown.filter(|chains| chains.len() == 1)?.first().copied());
                inherited += u64::from(own.is_none() && chain.is_some());
                from_before += u64::from(own.is_none() && before.contains_key(&span.trace_id));
                ambiguous += u64::from(own.is_none() && shown.is_some_and(|chains| chains.len() > 1));
                let tag = match chain {
                    Some(chain) => ExpectedTag::Canonical(chain),
                    None if span.attributes.iter().any(|attribute| attribute.key == "chain_id") => ExpectedTag::Invalid,
                    None => ExpectedTag::Absent,
                };
                assert_eq!(expected[&SpanKey::of(&span.span_id)], tag, "{span:?}");
            }
            if !acknowledged {
                // What a lost batch showed is good inside itself only.
                known = before;
            }
        }
        assert!(inherited > 100 && from_before > 20 && ambiguous > 10, "{inherited} {from_before} {ambiguous}");
    }
}

fn all_spans(
    request: &opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest,
) -> impl Iterator<Item = &Span> {
    levels(request).into_iter().map(|(_, _, span)| span)
}

fn levels(
    request: &opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest,
) -> Vec<(&[KeyValue], &[KeyValue], &Span)> {
    let mut levels = Vec::new();
    for resource in &request.resource_spans {
        let of_resource = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        for scope in &resource.scope_spans {
            let of_scope = scope.scope.as_ref().map_or(&[][..], |scope| &scope.attributes);
            levels.extend(scope.spans.iter().map(|span| (of_resource, of_scope, span)));
        }
    }
    levels
}

fn sound(trace_id: &[u8]) -> bool {
    trace_id.len() == 16 && trace_id.iter().any(|byte| *byte != 0)
}

fn own(span: &Span, scope: &[KeyValue], resource: &[KeyValue]) -> Option<u64> {
    [&span.attributes, scope, resource].into_iter().find_map(|attributes| {
        spec::CHAIN_KEYS.iter().find_map(|key| attributes.iter().filter(|a| a.key == *key).find_map(chain))
    })
}

fn chain(attribute: &KeyValue) -> Option<u64> {
    let id = match attribute.value.as_ref()?.value.as_ref()? {
        Value::IntValue(id) => u64::try_from(*id).ok()?,
        Value::DoubleValue(id) if id.fract() == 0.0 => *id as u64,
        Value::StringValue(text) => {
            let text = text.trim();
            let digits = text.strip_prefix("eip155:").unwrap_or(text);
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(hex) => u64::from_str_radix(hex, 16).ok()?,
                None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
                None => return None,
            }
        }
        _ => return None,
    };
    (1..=9_223_372_036_854_775_771).contains(&id).then_some(id)
}

fn exposition(truth: &Truth) -> String {
    truth.series("avs.gateway").iter().map(|(series, value)| format!("{series} {value}\n")).collect()
}
