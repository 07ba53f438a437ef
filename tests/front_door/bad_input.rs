//! Bytes that no honest client sends: each is refused with a text that says where it is wrong, nothing of it counts, and
//! the process is afterwards as it was before, in memory too.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use chainspan_testing::chainspan::Chainspan;
use chainspan_testing::front_door::{Setup, assert_at_rest, export_raw, framed, spans, sum};
use chainspan_testing::otlp::{int, send_traces, span, traces};
use chainspan_testing::server::FaultServer;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tonic::Code;

const MIB: usize = 1 << 20;

/// Field `number` of wire type 2.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    [&out, bytes].concat()
}

/// A request whose only span is `span`, bytes as they are.
fn request(span: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, span)))
}

/// A span with one attribute, whose value holds `depth` lists in one another.
fn nested(depth: usize) -> Vec<u8> {
    // AnyValue.array_value is field 5, ArrayValue.values field 1.
    let value = (0..depth).fold(field(1, b"deep"), |value, _| field(5, &field(1, &value)));
    field(9, &[field(1, b"key"), field(2, &value)].concat())
}

async fn start() -> (FaultServer, Chainspan) {
    let fault = FaultServer::start().await;
    let chainspan = Setup::default().start(fault.address());
    (fault, chainspan)
}

async fn send(chainspan: &Chainspan, message: &[u8]) -> tonic::Status {
    export_raw(chainspan.grpc(), framed(false, message), None).await
}

fn resident(chainspan: &Chainspan) -> usize {
    chainspan.status()["memory"]["resident_bytes"].as_u64().expect("Linux tells") as usize
}

/// Nothing was forwarded and nothing counted; and the next honest request is.
async fn assert_unharmed(chainspan: &Chainspan, fault: &FaultServer) {
    assert_at_rest(chainspan).await;
    let before = chainspan.metrics();
    for name in ["avs_gateway_operations_total", "chainspan_receiver_accepted_spans_total", "chainspan_odd_spans_total"]
    {
        assert_eq!(sum(&before, name, &[]), 0, "{name}");
    }
    assert_eq!((fault.received().len(), spans(chainspan, "otlp/datadog", "accepted")), (0, 0));
    let grpc = chainspan.grpc();
    let honest = || traces("gateway", vec![span("process task", Duration::from_millis(1), vec![int("chain_id", 1)])]);
    tokio::task::spawn_blocking(move || send_traces(grpc, honest())).await.expect("no panic").expect("accepted");
    assert_eq!(sum(&chainspan.metrics(), "avs_gateway_operations_total", &[]), 1);
    assert!(!chainspan.stderr().contains("panicked"), "{}", chainspan.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bytes_are_refused_with_field_and_offset() {
    let (fault, chainspan) = start().await;
    let named = |more: &[u8]| request(&[&field(5, b"process task")[..], more].concat());
    let huge = |length: u64| {
        let mut bytes = vec![0x0a];
        prost::encoding::encode_varint(length, &mut bytes);
        bytes
    };
    let cut = {
        let whole = request(&Span { name: "process task".into(), ..Span::default() }.encode_to_vec());
        whole[..whole.len() - 1].to_vec()
    };
    for (what, message, place) in [
        ("a length of 2^63", huge(1 << 63), "resource_spans at byte 1"),
        ("a length of 2^64 - 1", huge(u64::MAX), "resource_spans at byte 1"),
        ("a length of 2^32", huge(1 << 32), "resource_spans at byte 1"),
        ("a request cut short", cut, "resource_spans at byte 1"),
        ("a varint of 11 bytes", [&[0x10][..], &[0xff; 10], &[1]].concat(), "request at byte 1"),
        ("field number 0", named(&[0x02, 0x00]), "spans at byte 20"),
        ("a group without an end", named(&[0x9b, 0x06]), "spans at byte 20"),
        ("an end without a group", named(&[0x9c, 0x06]), "spans at byte 20"),
        ("wire type 6", named(&[0x0e]), "spans at byte 20"),
        ("a name that is a number", named(&[0x28, 0x01]), "spans.name at byte 20"),
        ("a fixed64 cut short", named(&[0x39, 0, 0]), "spans.start_time_unix_nano at byte 21"),
        ("plain text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "request at byte 0"),
    ] {
        let status = send(&chainspan, &message).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        let text = status.message();
        assert!(text.starts_with("malformed request: ") && text.contains(place), "{what}: {text}");
    }
    assert_eq!(
        sum(&chainspan.metrics(), "chainspan_receiver_failed_requests_total", &["code=\"INVALID_ARGUMENT\""]),
        12
    );
    assert_unharmed(&chainspan, &fault).await;
}

/// 64 levels are taken as they are, one more is refused, and so are ten thousand, without a stack to match.
#[tokio::test(flavor = "multi_thread")]
async fn values_nested_without_end_are_refused() {
    let (fault, chainspan) = start().await;
    for depth in [64, 65, 10_000] {
        let status = send(&chainspan, &request(&nested(depth))).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{depth}: {status:?}");
        assert!(status.message().contains("at byte"), "{status:?}");
    }
    assert_unharmed(&chainspan, &fault).await;
    let deepest = request(&nested(63));
    assert_eq!(send(&chainspan, &deepest).await.code(), Code::Ok);
    assert_eq!(fault.received()[1].body, deepest);
    assert_at_rest(&chainspan).await;
}

/// A few KiB that inflate to sixteen times the limit: refused for good, and memory is what it was.
#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_and_leave_no_crater() {
    let fault = FaultServer::start().await;
    let chainspan = Setup { grpc: "max_recv_msg_size_mib: 1", ..Setup::default() }.start(fault.address());
    let before = resident(&chainspan);
    let zeros = vec![0; MIB];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    (0..16).for_each(|_| {
        gzip.write_all(&zeros).expect("into memory");
        zstd.write_all(&zeros).expect("into memory");
    });
    let bombs = [("gzip", gzip.finish().expect("gzip")), ("zstd", zstd.finish().expect("zstd"))];
    for (encoding, bomb) in bombs {
        for _ in 0..4 {
            let status = export_raw(chainspan.grpc(), framed(true, &bomb), Some(encoding)).await;
            assert_eq!(status.code(), Code::ResourceExhausted, "{encoding}: {status:?}");
            assert!(status.message().contains("inflates"), "{status:?}");
        }
        let status = export_raw(chainspan.grpc(), framed(true, b"no such thing"), Some(encoding)).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{encoding}: {status:?}");
    }
    let unknown = export_raw(chainspan.grpc(), framed(true, b"x"), Some("br")).await;
    assert_eq!(unknown.code(), Code::Unimplemented, "{unknown:?}");
    assert_unharmed(&chainspan, &fault).await;
    assert!(resident(&chainspan) < before + 16 * MIB, "{before} before, {} now", resident(&chainspan));
}

/// A request over the limit is refused by its announcement: its client must not send it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_70_mib_is_refused_without_being_read() {
    let (fault, chainspan) = start().await;
    let before = resident(&chainspan);
    let body = request(&field(5, &vec![b'x'; 70 * MIB]));
    let status = send(&chainspan, &body).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("max_recv_msg_size_mib"), "{status:?}");
    assert_unharmed(&chainspan, &fault).await;
    assert!(resident(&chainspan) < before + 16 * MIB, "{before} before, {} now", resident(&chainspan));
}

/// Millions of tiny operations in one request of legal size: what is noted about them is memory, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_millions_of_tiny_operations_stays_within_the_memory_limit() {
    let fault = FaultServer::start().await;
    let (grpc, receiver) = ("max_recv_msg_size_mib: 12", "memory_limit_mib: 32");
    let chainspan = Setup { grpc, receiver, ..Setup::default() }.start(fault.address());
    let tiny = field(2, &field(5, b"submit_tx"));
    let body = field(1, &field(2, &tiny.repeat(11 * MIB / tiny.len())));
    let status = send(&chainspan, &body).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let peak = peak(&chainspan);
    assert!(peak < 64 * MIB, "{peak} bytes at the peak");
    assert_unharmed(&chainspan, &fault).await;
}

/// The most memory that the process ever had.
fn peak(chainspan: &Chainspan) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", chainspan.pid())).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).expect("KiB") * 1024
}

/// Well-formed but odd: 511 good spans are not lost for one odd one, and each oddity is counted.
#[tokio::test(flavor = "multi_thread")]
async fn odd_spans_are_forwarded_as_they_came_and_counted_by_kind() {
    let (fault, chainspan) = start().await;
    let sound = || span("verify_signature", Duration::from_millis(1), vec![]);
    let odd = vec![
        Span { trace_id: vec![], ..sound() },
        Span { trace_id: vec![0; 16], ..sound() },
        Span { trace_id: vec![1; 17], ..sound() },
        Span { span_id: vec![], ..sound() },
        Span { span_id: vec![0; 8], ..sound() },
        Span { attributes: vec![int("a", 1), int("a", 2)], ..sound() },
        Span { start_time_unix_nano: 10, end_time_unix_nano: 9, ..sound() },
        Span { end_time_unix_nano: u64::MAX, ..sound() },
        Span { parent_span_id: vec![9; 3], kind: -7, flags: u32::MAX, ..sound() },
        Span::default(),
        sound(),
    ];
    let message = traces("gateway", odd).encode_to_vec();
    assert_eq!(send(&chainspan, &message).await.code(), Code::Ok);
    assert_eq!(fault.received()[0].body, message);
    let scrape = chainspan.metrics();
    let count = |kind| sum(&scrape, "chainspan_odd_spans_total", &[&format!("kind=\"{kind}\"")]);
    assert_eq!([count("trace_id"), count("span_id"), count("duplicate_keys"), count("clock_skew")], [4, 3, 1, 1]);
    assert_at_rest(&chainspan).await;
}

/// The empty request is a good one; a call without a message, with half a prefix, with two messages is none.
#[tokio::test(flavor = "multi_thread")]
async fn framing_is_checked() {
    let (fault, chainspan) = start().await;
    assert_eq!(send(&chainspan, b"").await.code(), Code::Ok);
    for (what, bytes, code) in [
        ("nothing", Bytes::new(), Code::InvalidArgument),
        ("half a prefix", Bytes::from_static(&[0, 0]), Code::Internal),
        ("half a message", Bytes::from_static(&[0, 0, 0, 0, 9, 1]), Code::Internal),
        ("a flag that does not exist", Bytes::from_static(&[7, 0, 0, 0, 0]), Code::Internal),
        ("two messages", Bytes::from_static(&[0; 10]), Code::InvalidArgument),
        ("compressed, but nobody says how", Bytes::from_static(&[1, 0, 0, 0, 1, 0]), Code::Internal),
    ] {
        let status = export_raw(chainspan.grpc(), bytes, None).await;
        assert_eq!(status.code(), code, "{what}: {status:?}");
    }
    assert_unharmed(&chainspan, &fault).await;
}

/// Scenario: a request of more than 4 MiB, which is walked on a thread of its own, is cut short at its very end; then the
/// same comes whole. Guarantee: the first is refused with field and offset and leaves nothing, of the second every span is
/// counted and delivered once.
#[tokio::test(flavor = "multi_thread")]
async fn a_very_large_request_is_judged_as_any_other() {
    const SPANS: usize = 20_000;
    let (_fault, chainspan) = start().await;
    let one = || {
        let attributes = vec![int("chain_id", 1), chainspan_testing::otlp::text("note", &"x".repeat(200))];
        span("process task", Duration::from_millis(1), attributes)
    };
    let whole = traces("gateway", (0..SPANS).map(|_| one()).collect()).encode_to_vec();
    assert!(whole.len() > 4 * MIB, "{}", whole.len());
    let cut = [&whole[..], &[0x0a, 0x05, 0x12]].concat();
    let status = send(&chainspan, &cut).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains(&format!("resource_spans at byte {}", whole.len() + 1)), "{}", status.message());
    assert_eq!(sum(&chainspan.metrics(), "avs_gateway_operations_total", &[]), 0);
    let status = send(&chainspan, &whole).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert_eq!(sum(&chainspan.metrics(), "avs_gateway_operations_total", &[]), SPANS as u64);
    assert_eq!(spans(&chainspan, "otlp/datadog", "delivered"), SPANS as u64);
}
