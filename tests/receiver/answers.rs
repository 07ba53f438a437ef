//! `docs/delivery.md` section 2, row by row, with a raw HTTP/2 client.

use std::time::Duration;

use bytes::Bytes;
use tonic::Code;

use crate::support::*;

/// Accepted requests of every signal, also empty ones: 200, an empty response message, `grpc-status: 0` in trailers.
#[tokio::test]
async fn accepted_is_ok_with_an_empty_message() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    for path in [TRACES, METRICS, LOGS] {
        for message in [encoded(3), Vec::new()] {
            let answer = client.grpc(path, "", &[framed(0, &message)]).await;
            assert_eq!((answer.http, answer.code()), (200, Code::Ok), "{path}");
            assert_eq!(answer.body, [0; 5], "{path}: partial_success must be unset");
            assert!(answer.trailers.is_some(), "{path}: the status belongs in the trailers");
            assert_eq!(answer.headers["content-type"], "application/grpc");
            assert!(!answer.headers.contains_key("content-length"));
        }
    }
    receiver.at_rest().await;
}

#[tokio::test]
async fn every_encoding_is_accepted_with_the_flag_and_without() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let message = encoded(512);
    for (encoding, flag, body) in [
        ("", 0, message.clone()),
        ("identity", 0, message.clone()),
        ("gzip", 1, gzip(&message)),
        ("gzip", 0, message.clone()),
        ("gzip", 1, gzip(b"")),
        ("gzip", 1, [gzip(&message), gzip(&message)].concat()),
        ("zstd", 1, zstd(&message)),
        ("zstd", 0, message.clone()),
        ("zstd", 1, [zstd(&message), zstd(&message)].concat()),
    ] {
        let answer = client.grpc(TRACES, encoding, &[framed(flag, &body)]).await;
        assert_eq!(answer.code(), Code::Ok, "{encoding} {flag}: {:?}", answer.status());
    }
    receiver.at_rest().await;
}

#[tokio::test]
async fn a_message_cut_into_single_bytes_is_accepted() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let bytes = framed(0, &encoded(2));
    let pieces: Vec<Bytes> = (0..bytes.len()).map(|at| bytes.slice(at..at + 1)).collect();
    assert_eq!(client.grpc(TRACES, "", &pieces).await.code(), Code::Ok);
}

/// Name, path, encoding, pieces of the body; the code, and a word of the text.
type Case<'a> = (&'a str, &'a str, &'a str, Vec<Bytes>, Code, &'a str);

/// Each refusal: its code, whether it says when to retry, and a word that its text must hold.
#[tokio::test]
async fn every_refusal_has_its_code() {
    const LIMIT: usize = 64 * 1024;
    let receiver = Receiver::start(LIMIT, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let message = encoded(3);
    let whole = framed(0, &message);
    let mut broken_gzip = gzip(&message);
    let middle = broken_gzip.len() / 2;
    broken_gzip[middle] ^= 0xff;
    let large = vec![b'x'; LIMIT + 1];
    let cases: &[Case] = &[
        ("malformed", TRACES, "", vec![framed(0, &[0x00, 0x01])], Code::InvalidArgument, "byte 0"),
        ("too large, announced only", TRACES, "", vec![prefix(LIMIT as u32 + 1)], Code::ResourceExhausted, "65536"),
        ("too large by far", TRACES, "", vec![prefix(u32::MAX)], Code::ResourceExhausted, "4294967295"),
        ("too large, gzip", TRACES, "gzip", vec![framed(1, &gzip(&large))], Code::ResourceExhausted, "inflates"),
        ("too large, zstd", TRACES, "zstd", vec![framed(1, &zstd(&large))], Code::ResourceExhausted, "inflates"),
        ("unknown encoding", TRACES, "br", vec![framed(1, &message)], Code::Unimplemented, "gzip"),
        ("unknown method", "/x.Y/Z", "", vec![whole.clone()], Code::Unimplemented, "/x.Y/Z"),
        ("corrupt gzip", TRACES, "gzip", vec![framed(1, &broken_gzip)], Code::InvalidArgument, "gzip"),
        ("not gzip", TRACES, "gzip", vec![framed(1, &message)], Code::InvalidArgument, "gzip"),
        ("half a gzip", TRACES, "gzip", vec![framed(1, &gzip(&message)[..middle])], Code::InvalidArgument, "gzip"),
        ("not zstd", TRACES, "zstd", vec![framed(1, &message)], Code::InvalidArgument, "zstd"),
        ("half a zstd", TRACES, "zstd", vec![framed(1, &zstd(&message)[..20])], Code::InvalidArgument, "zstd"),
        ("compressed how?", TRACES, "", vec![framed(1, &gzip(&message))], Code::Internal, "grpc-encoding"),
        ("compressed by identity", TRACES, "identity", vec![framed(1, &message)], Code::Internal, "grpc-encoding"),
        ("flag 7", TRACES, "", vec![framed(7, &message)], Code::Internal, "flag 7"),
        ("no message", TRACES, "", vec![], Code::InvalidArgument, "no message"),
        ("half a prefix", TRACES, "", vec![whole.slice(..3)], Code::Internal, "prefix"),
        ("short message", TRACES, "", vec![whole.slice(..20)], Code::Internal, "15 bytes"),
        ("two messages", TRACES, "", vec![whole.clone(), whole.clone()], Code::InvalidArgument, "more than one"),
        ("trailing byte", LOGS, "", vec![whole.clone(), Bytes::from_static(b"x")], Code::InvalidArgument, "more than"),
    ];
    for (name, path, encoding, pieces, code, word) in cases {
        let answer = client.grpc(path, encoding, pieces).await;
        let status = answer.status();
        assert_eq!((answer.http, status.code()), (200, *code), "{name}: {status:?}");
        assert!(status.message().contains(word), "{name}: {}", status.message());
        assert!(answer.trailers.is_none() && answer.body.is_empty(), "{name}: not trailers-only");
        assert_eq!(answer.retry_after(), None, "{name}: must not invite the same request again");
        assert_eq!(answer.headers.contains_key("grpc-accept-encoding"), *name == "unknown encoding", "{name}");
    }
    receiver.at_rest().await;
    let answer = client.grpc(TRACES, "", &[whole]).await;
    assert_eq!(answer.code(), Code::Ok, "the connection must still work");
}

#[tokio::test]
async fn whatever_is_not_grpc_gets_415() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let body = [framed(0, &encoded(1))];
    for kind in ["application/json", "application/grpc-web", "application/grpcx", "text/plain", ""] {
        assert_eq!(client.call(TRACES, &[("content-type", kind)], &body).await.http, 415, "{kind:?}");
    }
    assert_eq!(client.call(TRACES, &[], &body).await.http, 415);
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        assert_eq!(client.call(TRACES, &[("content-type", kind)], &body).await.code(), Code::Ok, "{kind:?}");
    }
}

/// A full budget is refused at once, with a retry delay that is not the same for everybody.
#[tokio::test]
async fn a_full_budget_is_unavailable_with_a_jittered_retry_info() {
    let receiver = Receiver::start(MIB, MIB).await;
    let client = Client::connect(receiver.address).await;
    let taken = receiver.budget.try_reserve(MIB).unwrap();
    let mut delays = Vec::new();
    for _ in 0..10 {
        let answer = client.grpc(TRACES, "", &[framed(0, &encoded(1))]).await;
        assert_eq!(answer.code(), Code::Unavailable);
        let delay = answer.retry_after().expect("RetryInfo");
        assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&delay), "{delay:?}");
        delays.push(delay);
    }
    delays.dedup();
    assert!(delays.len() > 1, "no jitter");
    drop(taken);
    assert_eq!(client.grpc(TRACES, "", &[framed(0, &encoded(1))]).await.code(), Code::Ok);
}

/// Scenario: a client waits 200 ms for an answer, and does not finish its body. Guarantee: it is answered, by us, before
/// it gives up.
#[tokio::test]
async fn the_clients_deadline_ends_a_body_that_does_not() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let client = Client::connect(receiver.address).await;
    let headers = [("content-type", "application/grpc"), ("grpc-timeout", "200m")];
    let (response, mut stream) = client.begin(TRACES, &headers, false).await;
    stream.send_data(prefix(100), false).unwrap();
    assert_eq!(answer(response).await.code(), Code::DeadlineExceeded);
    receiver.at_rest().await;
}
