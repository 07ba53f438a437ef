//! What reaches the destination: every span of a known chain carries it as one canonical string, and nothing else of a
//! request has changed.

use std::time::Duration;

use chainspan_testing::chainspan::Chainspan;
use chainspan_testing::front_door::{Setup, assert_at_rest, export, export_raw, framed, operations, sum};
use chainspan_testing::otlp::{attribute, boolean, double, int, span, text, trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const KEYS: [&str; 8] = [
    "chain_id",
    "chain.id",
    "chainId",
    "avs.chain.id",
    "evm.chain_id",
    "eth.chain_id",
    "blockchain.chain_id",
    "newton.chain_id",
];

/// A span that is no operation, so that no hint is added to it.
fn plain(attributes: Vec<KeyValue>) -> Span {
    span("verify_signature", Duration::from_millis(1), attributes)
}

fn in_trace(trace: u8, attributes: Vec<KeyValue>) -> Span {
    Span { trace_id: vec![trace; 16], ..plain(attributes) }
}

async fn start() -> (FaultServer, Chainspan) {
    let fault = FaultServer::start().await;
    let chainspan = Setup::default().start(fault.address());
    (fault, chainspan)
}

async fn send(chainspan: &Chainspan, request: ExportTraceServiceRequest) {
    export(&trace_client(chainspan.grpc()).await, request).await.expect("accepted");
}

/// The request that the destination received last.
fn last(fault: &FaultServer) -> ExportTraceServiceRequest {
    let received = fault.received();
    ExportTraceServiceRequest::decode(&received.last().expect("a request").body[..]).expect("valid")
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

/// The canonical tags of a span: the strings under `chain_id`.
fn tags(span: &Span) -> Vec<&str> {
    let own = span.attributes.iter().filter(|attribute| attribute.key == "chain_id");
    own.map(|attribute| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.as_str(),
        other => panic!("not a string: {other:?}"),
    })
    .collect()
}

fn tags_of(spans: &[Span]) -> Vec<Vec<&str>> {
    spans.iter().map(tags).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_spelling_under_each_key_arrives_as_the_canonical_string_and_other_keys_stay() {
    let (fault, chainspan) = start().await;
    let spellings = |key| {
        [
            int(key, 11_155_111),
            text(key, "11155111"),
            text(key, " 11155111 "),
            text(key, "0xaa36a7"),
            text(key, "0XAA36A7"),
            text(key, "0x00aa36a7"),
            text(key, "eip155:11155111"),
            double(key, 11_155_111.0),
        ]
    };
    let sent: Vec<Span> = KEYS.into_iter().flat_map(spellings).map(|attribute| plain(vec![attribute])).collect();
    send(&chainspan, traces("gateway", sent.clone())).await;
    let arrived = spans_of(last(&fault));
    assert_eq!(arrived.len(), sent.len());
    for (sent, arrived) in sent.iter().zip(&arrived) {
        assert_eq!(tags(arrived), ["11155111"], "{sent:?}");
        let others = |span: &Span| span.attributes.iter().filter(|a| a.key != "chain_id").cloned().collect::<Vec<_>>();
        assert_eq!(others(arrived), others(sent));
        assert_eq!(Span { attributes: Vec::new(), ..arrived.clone() }, Span { attributes: Vec::new(), ..sent.clone() });
    }
    assert_eq!(sum(&chainspan.metrics(), "chainspan_chain_resolved_spans_total", &["source=\"span\""]), 64);
    assert_at_rest(&chainspan).await;
}

/// Unknown fields stand at every level, behind the known ones and between them.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_needs_no_tag_arrives_byte_for_byte_and_unknown_fields_survive_one_that_does() {
    let (fault, chainspan) = start().await;
    let field = |number: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut out);
        out
    };
    let unknown = || [field(4001, b"from the future"), vec![0xfd, 0xff, 0x01, 1, 2, 3, 4]].concat();
    let wrapped = |attributes| {
        let span = [unknown(), plain(attributes).encode_to_vec(), unknown()].concat();
        let scope_spans = [unknown(), field(2, &span), unknown()].concat();
        let resource_spans = [unknown(), field(2, &scope_spans), unknown()].concat();
        [unknown(), field(1, &resource_spans), unknown()].concat()
    };

    let canonical = wrapped(vec![text("chain_id", "8453"), text("chainId", "0x1")]);
    assert_eq!(export_raw(chainspan.grpc(), framed(false, &canonical), None).await.code(), tonic::Code::Ok);
    assert_eq!(fault.received()[0].body, canonical);

    // The tag is as long in both, so the bodies differ in nothing but it.
    let marker = wrapped(vec![int("chainId", 8453)]);
    assert_eq!(export_raw(chainspan.grpc(), framed(false, &marker), None).await.code(), tonic::Code::Ok);
    let arrived = fault.received()[1].body.clone();
    let survived = |body: &[u8]| body.windows(15).filter(|window| *window == b"from the future").count();
    assert_eq!((survived(&marker), survived(&arrived)), (8, 8));
    let tag = field(9, &text("chain_id", "8453").encode_to_vec());
    assert!(arrived.len() >= marker.len() + tag.len() && arrived.windows(tag.len()).any(|window| window == tag));
    assert_eq!(tags_of(&spans_of(last(&fault))), [["8453"]]);
    assert_at_rest(&chainspan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_takes_the_chain_of_its_scope_then_of_its_resource_and_keeps_its_own() {
    let (fault, chainspan) = start().await;
    let with = |resource: Option<KeyValue>, scope: Option<KeyValue>, own: Option<KeyValue>| {
        let mut request = traces("gateway", vec![plain(own.into_iter().collect())]);
        let resource_spans = &mut request.resource_spans[0];
        resource_spans.resource.as_mut().expect("there").attributes.extend(resource);
        resource_spans.scope_spans[0].scope.as_mut().expect("there").attributes.extend(scope);
        request.resource_spans.remove(0)
    };
    let (one, two, three) =
        (|| Some(int("chain_id", 1)), || Some(text("evm.chain_id", "0x2")), || Some(int("chainId", 3)));
    let resource_spans = vec![
        with(one(), two(), three()),
        with(one(), two(), None),
        with(one(), None, None),
        with(None, None, None),
        // An invalid value falls to the next source.
        with(one(), two(), Some(text("chain_id", "aa36a7"))),
    ];
    let request = ExportTraceServiceRequest { resource_spans };
    send(&chainspan, request.clone()).await;
    let arrived = last(&fault);
    let expected: [&[&str]; 5] = [&["3"], &["2"], &["1"], &[], &["2"]];
    assert_eq!(tags_of(&spans_of(arrived.clone())), expected);
    for (sent, arrived) in request.resource_spans.iter().zip(&arrived.resource_spans) {
        assert_eq!(sent.resource, arrived.resource);
        assert_eq!(sent.scope_spans[0].scope, arrived.scope_spans[0].scope);
    }
    let scrape = chainspan.metrics();
    for (source, spans) in [("span", 1), ("scope", 2), ("resource", 1), ("trace", 0), ("none", 1)] {
        let label = format!("source=\"{source}\"");
        assert_eq!(sum(&scrape, "chainspan_chain_resolved_spans_total", &[&label]), spans, "{source}");
    }
    assert_eq!(sum(&scrape, "chainspan_chain_invalid_values_total", &[]), 1);
    assert_at_rest(&chainspan).await;
}

/// An invalid value names no chain: without another source the span stays exactly as it came.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_values_stay_as_they_came() {
    let (fault, chainspan) = start().await;
    let key = "chain_id";
    let values = [
        text(key, "aa36a7"),
        text(key, ""),
        text(key, "0x"),
        text(key, "-1"),
        text(key, "+1"),
        int(key, 0),
        int(key, -5),
        text(key, "eip155:"),
        text(key, "solana:101"),
        text(key, "1.5"),
        double(key, 1.5),
        double(key, f64::NAN),
        text(key, "9223372036854775772"),
        text(key, &"9".repeat(10_000)),
        boolean(key, true),
        attribute(key, Value::BytesValue(b"1".to_vec())),
        KeyValue { key: key.into(), ..KeyValue::default() },
    ];
    let count = values.len() as u64;
    let request = traces("gateway", values.into_iter().map(|value| plain(vec![value])).collect());
    send(&chainspan, request.clone()).await;
    assert_eq!(fault.received()[0].body, request.encode_to_vec());
    let scrape = chainspan.metrics();
    assert_eq!(sum(&scrape, "chainspan_chain_invalid_values_total", &[]), count);
    assert_eq!(sum(&scrape, "chainspan_chain_resolved_spans_total", &["source=\"none\""]), count);
    assert_at_rest(&chainspan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_own_tags_one_remains_the_first_valid_one() {
    let (fault, chainspan) = start().await;
    let sent = vec![
        plain(vec![text("chain_id", "1"), text("a", "b"), text("chain_id", "1")]),
        plain(vec![
            text("chain_id", "nonsense"),
            int("chain_id", 10),
            text("chain_id", "0x1"),
            text("a", "b"),
            text("a", "c"),
        ]),
        plain(vec![text("chain_id", "nonsense"), text("chain_id", "none"), text("chain.id", "137")]),
    ];
    send(&chainspan, traces("gateway", sent)).await;
    let arrived = spans_of(last(&fault));
    assert_eq!(tags_of(&arrived), [["1"], ["10"], ["137"]]);
    let keys =
        |span: &Span| span.attributes.iter().map(|a| a.key.clone()).filter(|key| key != "chain_id").collect::<Vec<_>>();
    assert_eq!(arrived.iter().map(keys).collect::<Vec<_>>(), [vec!["a"], vec!["a", "a"], vec!["chain.id"]]);
    assert_at_rest(&chainspan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_inherits_the_chain_of_its_trace_only_where_there_is_exactly_one() {
    let (fault, chainspan) = start().await;
    // In one request, whatever the order; trace 2 shows two chains; trace 3 is known by an inherited span only.
    let sent = vec![
        in_trace(1, vec![]),
        in_trace(1, vec![int("chain_id", 8453)]),
        in_trace(1, vec![text("chain_id", "nonsense")]),
        in_trace(2, vec![int("chain_id", 1)]),
        in_trace(2, vec![]),
        in_trace(2, vec![int("chain_id", 10)]),
        in_trace(3, vec![]),
        // A trace id that is none.
        Span { trace_id: vec![0; 16], ..plain(vec![int("chain_id", 1)]) },
        Span { trace_id: vec![0; 16], ..plain(vec![]) },
        Span { trace_id: vec![7; 8], ..plain(vec![int("chain_id", 1)]) },
        Span { trace_id: vec![7; 8], ..plain(vec![]) },
    ];
    send(&chainspan, traces("gateway", sent)).await;
    let expected: [&[&str]; 11] =
        [&["8453"], &["8453"], &["8453"], &["1"], &[], &["10"], &[], &["1"], &[], &["1"], &[]];
    assert_eq!(tags_of(&spans_of(last(&fault))), expected);

    // In a later request: trace 1 passes on, 2 stays ambiguous, what was inherited or had no trace passes nothing on.
    let later = [1, 2, 3, 0, 7].map(|trace| in_trace(trace, vec![]));
    let mut later = later.to_vec();
    later[4].trace_id.truncate(8);
    send(&chainspan, traces("gateway", later)).await;
    let expected: [&[&str]; 5] = [&["8453"], &[], &[], &[], &[]];
    assert_eq!(tags_of(&spans_of(last(&fault))), expected);

    // A second chain, in another request, makes a trace ambiguous: for this request and for all later ones.
    send(&chainspan, traces("gateway", vec![in_trace(1, vec![int("chain_id", 1)]), in_trace(1, vec![])])).await;
    send(&chainspan, traces("gateway", vec![in_trace(1, vec![]), in_trace(1, vec![int("chain_id", 8453)])])).await;
    let bodies = fault.received();
    let arrived = |at: usize| spans_of(ExportTraceServiceRequest::decode(&bodies[at].body[..]).expect("valid"));
    let expected: [&[&str]; 2] = [&["1"], &[]];
    assert_eq!(tags_of(&arrived(2)), expected);
    let expected: [&[&str]; 2] = [&[], &["8453"]];
    assert_eq!(tags_of(&arrived(3)), expected);
    assert_eq!(sum(&chainspan.metrics(), "chainspan_chain_ambiguous_traces_total", &[]), 2);
    assert_at_rest(&chainspan).await;
}

/// What a refused request has shown is not known: its retry may never come, or come elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_known_to_later_requests_only_once_a_request_was_acknowledged() {
    let (fault, chainspan) = start().await;
    fault.then([Act::Refuse(tonic::Code::InvalidArgument, "never", None)]);
    let client = trace_client(chainspan.grpc()).await;
    let shows = traces("gateway", vec![in_trace(5, vec![int("chain_id", 42161)])]);
    export(&client, shows.clone()).await.expect_err("refused");
    export(&client, traces("gateway", vec![in_trace(5, vec![])])).await.expect("accepted");
    assert_eq!(tags(&spans_of(last(&fault))[0]), [""; 0]);
    export(&client, shows).await.expect("accepted");
    let task = Span { name: "process task".into(), ..in_trace(5, vec![]) };
    export(&client, traces("gateway", vec![task])).await.expect("accepted");
    assert_eq!(tags(&spans_of(last(&fault))[0]), ["42161"]);
    // The metrics follow the tag.
    assert_eq!(operations(&chainspan.metrics(), "42161"), 1);
    assert_at_rest(&chainspan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datadog_hints_are_added_to_operations_where_absent_unless_switched_off() {
    let fault = FaultServer::start().await;
    let operation = |kind, more: Vec<KeyValue>| {
        let attributes = [vec![text("chain_id", "1")], more].concat();
        Span { kind, ..span("aggregate signatures", Duration::from_millis(1), attributes) }
    };
    let own = vec![text("operation.name", "mine"), int("_dd.measured", 0)];
    let sent = vec![operation(1, vec![]), operation(2, vec![]), operation(1, own), plain(vec![text("chain_id", "1")])];
    let hints = |span: &Span| {
        let hints = ["operation.name", "_dd.measured"].map(|key| {
            let values: Vec<_> = span.attributes.iter().filter(|attribute| attribute.key == key).collect();
            assert!(values.len() <= 1, "{key} twice");
            values.first().and_then(|attribute| attribute.value.clone()).and_then(|value| value.value)
        });
        let [Some(Value::StringValue(name)), measured] = hints else { return (None, hints[1].clone()) };
        (Some(name), measured)
    };
    for (chain, on) in [("", true), ("datadog_hints: false", false)] {
        let chainspan = Setup { chain, ..Setup::default() }.start(fault.address());
        let request = traces("gateway", sent.clone());
        send(&chainspan, request.clone()).await;
        let arrived = spans_of(last(&fault));
        if on {
            let name = Some("gateway.bls_aggregation".to_owned());
            let one = || Some(Value::IntValue(1));
            let mine = (Some("mine".to_owned()), Some(Value::IntValue(0)));
            let expected = [(name.clone(), one()), (name, None), mine, (None, None)];
            assert_eq!(arrived.iter().map(hints).collect::<Vec<_>>(), expected);
        } else {
            assert_eq!(fault.received().last().expect("one").body, request.encode_to_vec());
        }
        assert_at_rest(&chainspan).await;
    }
}

/// Protobuf allows fields in any order: a resource and a scope that come after their spans give the same tags and the same
/// counts as before them.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_out_of_order_is_understood_like_one_in_order() {
    let (fault, chainspan) = start().await;
    let spans: Vec<Span> = (1..=3).map(|id| span("process task", Duration::from_millis(id), vec![])).collect();
    let mut ordered = traces("late", spans);
    for resource_spans in &mut ordered.resource_spans {
        for scope_spans in &mut resource_spans.scope_spans {
            scope_spans.scope.get_or_insert_default().attributes.push(text("chainId", "0x2105"));
        }
    }
    // The same messages with their first field, resource or scope, moved to the end.
    let mut body = Vec::new();
    for mut resource_spans in ordered.resource_spans {
        let resource = resource_spans.resource.take();
        let mut inner = Vec::new();
        for mut scope_spans in std::mem::take(&mut resource_spans.scope_spans) {
            let scope = scope_spans.scope.take();
            let mut innermost = scope_spans.encode_to_vec();
            ScopeSpans { scope, ..Default::default() }.encode_raw(&mut innermost);
            prost::encoding::bytes::encode(2, &innermost, &mut inner);
        }
        ResourceSpans { resource, ..Default::default() }.encode_raw(&mut inner);
        prost::encoding::bytes::encode(1, &inner, &mut body);
    }
    let status = export_raw(chainspan.grpc(), framed(false, &body), None).await;
    assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");

    let received = spans_of(last(&fault));
    assert_eq!(received.len(), 3);
    received.iter().for_each(|span| assert_eq!(tags(span), ["8453"]));
    let scrape = chainspan.metrics();
    assert_eq!(operations(&scrape, "8453"), 3);
    assert_eq!(sum(&scrape, "avs_gateway_operations_total", &["service_name=\"late\""]), 3);
    assert_eq!(sum(&scrape, "chainspan_chain_resolved_spans_total", &["source=\"scope\""]), 3);
    assert_at_rest(&chainspan).await;
}
