//! The stand-in agent and the client, against each other: no chainspan between them, so nothing tags the spans.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chainspan_sim::{
    Agent, Chain, Client, ExpectedTag, ExportResult, Fleet, Gateway, LoadPlan, Progress, RetryLimits, Truth, drive,
    gateways, now_unix_nano,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

const SHORT: RetryLimits =
    RetryLimits { attempt_timeout: Duration::from_secs(5), max_elapsed_time: Duration::from_millis(300) };

fn agent() -> Agent {
    Agent::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
}

fn gateway(seed: u64) -> Gateway {
    gateways(1, &Chain::with_profiles(&[1, 137]), seed).remove(0)
}

/// Tags a request by the truth, as chainspan must.
fn tagged(mut request: ExportTraceServiceRequest, tags: &[(chainspan_sim::SpanKey, ExpectedTag)]) -> Bytes {
    let spans = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for span in spans.flat_map(|scope| &mut scope.spans) {
        let key = chainspan_sim::SpanKey::of(&span.span_id);
        let (_, tag) = tags.iter().find(|(known, _)| *known == key).unwrap();
        if let ExpectedTag::Canonical(id) = tag {
            span.attributes.retain(|attribute| attribute.key != "chain_id");
            span.attributes.push(KeyValue {
                key: "chain_id".to_owned(),
                value: Some(AnyValue { value: Some(Value::StringValue(id.to_string())) }),
                ..KeyValue::default()
            });
        }
    }
    Bytes::from(request.encode_to_vec())
}

/// What was tagged right verifies; untagged spans, missing spans, strangers and repetitions are each told apart.
#[tokio::test]
async fn the_agent_tells_right_from_wrong() {
    let agent = agent();
    let client = Client::new(&agent.address().to_string(), 2, RetryLimits::default()).unwrap();
    let mut gateway = gateway(4);
    let mut truth = Truth::new();

    let good = gateway.next_batch(400, now_unix_nano());
    let body = tagged(good.request.clone(), &good.facts.tags);
    assert!(matches!(client.export(body.clone()).await, ExportResult::Acknowledged));
    truth.add(&good.facts);
    let delivery = agent.verify(&truth);
    assert!(delivery.is_complete(), "{delivery:?}");
    assert_eq!((delivery.checked, delivery.repeated, delivery.unexpected), (400, 0, 0));

    assert!(matches!(client.export(body).await, ExportResult::Acknowledged));
    assert_eq!(agent.verify(&truth).repeated, 400);
    assert_eq!(agent.spans(), 800);

    let untagged = gateway.next_batch(400, now_unix_nano());
    assert!(matches!(client.export(Bytes::from(untagged.request.encode_to_vec())).await, ExportResult::Acknowledged));
    assert_eq!(agent.verify(&truth).unexpected, 400);
    truth.add(&untagged.facts);
    let delivery = agent.verify(&truth);
    assert!(delivery.mistagged > 100 && delivery.missing == 0, "{delivery:?}");
    assert!(!delivery.is_complete() && !delivery.examples.is_empty());

    truth.add(&gateway.next_batch(50, now_unix_nano()).facts);
    assert_eq!(agent.verify(&truth).missing, 50);
    agent.stop().await;
}

/// A whole fleet against the agent: every span that was acknowledged is there, once, and the figures add up.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_delivers_what_it_counts() {
    let agent = agent();
    let client = Arc::new(Client::new(&agent.address().to_string(), 3, RetryLimits::default()).unwrap());
    let fleet = Fleet::start(gateways(4, &Chain::with_profiles(&[1, 10, 137]), 2), 64).unwrap();
    let progress = Arc::new(Progress::new(Truth::new()));
    let plan = LoadPlan { rate: Some(20_000.0), duration: Duration::from_millis(400), in_flight: 8 };
    drive(fleet, client, plan, Arc::clone(&progress)).await;
    let report = progress.report();
    assert!(report.sent >= 64);
    assert_eq!(report.sent, report.acknowledged, "{report:?}");
    assert_eq!(agent.spans(), report.acknowledged);
    let delivery = progress.with_truth(|truth| {
        assert_eq!(truth.spans(), report.acknowledged);
        agent.verify(truth)
    });
    assert_eq!((delivery.missing, delivery.repeated, delivery.unexpected), (0, 0, 0));
}

/// Nobody listens: nothing was sent, so the batch is refused for certain and its truth does not count.
#[tokio::test]
async fn a_closed_port_is_a_refusal() {
    // Bound and not listening: connections are refused, and no other program can take the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let client = Client::new(&address, 1, SHORT).unwrap();
    assert!(matches!(client.export(Bytes::new()).await, ExportResult::Refused(_)));
    let error = client.reach().await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("running"), "{error}");
    assert!(Client::new("not an address", 1, SHORT).is_err());
}

/// While the agent answers UNAVAILABLE the client keeps trying; once it is back, the batch counts once.
#[tokio::test]
async fn unavailable_is_tried_again() {
    let agent = agent();
    let client = Client::new(&agent.address().to_string(), 1, SHORT).unwrap();
    agent.set_available(false);
    let batch = gateway(1).next_batch(10, now_unix_nano());
    let body = Bytes::from(batch.request.encode_to_vec());
    assert!(
        matches!(client.export(body.clone()).await, ExportResult::Refused(status) if status.code() == tonic::Code::Unavailable)
    );
    assert_eq!(agent.spans(), 0);

    let patient = Client::new(&agent.address().to_string(), 1, RetryLimits::default()).unwrap();
    let (answer, ()) = tokio::join!(patient.export(body), async { agent.set_available(true) });
    assert!(matches!(answer, ExportResult::Acknowledged));
    assert_eq!(agent.spans(), 10);

    // What is no request is refused for good, at once.
    assert!(matches!(patient.export(Bytes::from_static(&[0xff])).await, ExportResult::Refused(_)));
}

/// A server that takes the request and hangs up leaves the client in doubt: it must say so, not guess.
#[tokio::test]
async fn a_hang_up_is_ambiguous() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // An empty SETTINGS frame makes this an HTTP/2 server as far as a client can see.
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            let (mut read, mut buffer) = (0, vec![0; 65_536]);
            while read < 2_000 {
                match stream.read(&mut buffer).await {
                    Ok(count) if count > 0 => read += count,
                    _ => break,
                }
            }
        }
    });
    let client = Client::new(&address.to_string(), 1, SHORT).unwrap();
    let body = Bytes::from(gateway(1).next_batch(20, now_unix_nano()).request.encode_to_vec());
    assert!(body.len() > 4_000);
    let answer = client.export(body).await;
    assert!(matches!(answer, ExportResult::Ambiguous { at_least: 0, at_most: 1.., .. }), "{answer:?}");
    server.abort();
}
