//! What the tests at the front door share: a configuration with room for a test's own keys, and the three things that are
//! looked at from outside: the answer, `/status`, `/metrics`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use crate::chainspan::{Chainspan, assert_conservation};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Keys beside the usual ones, each as the inside of a YAML flow mapping.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// `receivers.otlp.protocols.grpc`, after `endpoint`.
    pub grpc: &'a str,
    /// `receivers.otlp`, after `protocols`.
    pub receiver: &'a str,
    /// `processors.chain`.
    pub chain: &'a str,
    /// `connectors.gateway`.
    pub gateway: &'a str,
    /// `exporters.otlp/datadog`, after `endpoint` and `tls`.
    pub datadog: &'a str,
    /// `service.shutdown_timeout`.
    pub shutdown_timeout: &'a str,
    /// `extensions.file_storage`; empty: there is none.
    pub store: &'a str,
    /// A second destination, `otlp/second`: its address and its keys.
    pub second: Option<(SocketAddr, &'a str)>,
    /// More of `service.pipelines`, one line each.
    pub pipelines: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            grpc: "",
            receiver: "",
            chain: "",
            gateway: "",
            datadog: "",
            shutdown_timeout: "20s",
            store: "",
            second: None,
            pipelines: "",
        }
    }
}

impl Setup<'_> {
    /// Starts chainspan in front of `destination`.
    pub fn start(&self, destination: SocketAddr) -> Chainspan {
        Chainspan::start(&self.yaml(destination))
    }

    /// The configuration.
    pub fn yaml(&self, destination: SocketAddr) -> String {
        let Self { grpc, receiver, chain, gateway, datadog, shutdown_timeout, store, second, pipelines } = self;
        let (storage, stored) = match *store {
            "" => (String::new(), ""),
            keys => (format!(", file_storage: {{{keys}}}"), ", file_storage"),
        };
        let (exporter, name) = second.map_or_else(Default::default, |(address, keys)| {
            (format!("  otlp/second: {{endpoint: {address}, tls: {{insecure: true}}, {keys}}}"), ", otlp/second")
        });
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0, {grpc}}}}}, {receiver}}}}}
processors: {{chain: {{{chain}}}}}
connectors: {{gateway: {{{gateway}}}}}
exporters:
  otlp/datadog: {{endpoint: {destination}, tls: {{insecure: true}}, {datadog}}}
  prometheus: {{endpoint: 127.0.0.1:0}}
{exporter}
extensions: {{health_check: {{endpoint: 127.0.0.1:0}}{storage}}}
service:
  extensions: [health_check{stored}]
  shutdown_timeout: {shutdown_timeout}
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog{name}]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus]}}
    {pipelines}
"
        )
    }
}

/// Sends one request and awaits the answer.
pub async fn export(
    client: &TraceServiceClient<Channel>,
    request: impl tonic::IntoRequest<ExportTraceServiceRequest>,
) -> Result<(), Status> {
    client.clone().export(request).await.map(|answer| assert!(answer.into_inner().partial_success.is_none()))
}

/// UNAVAILABLE, and when to retry: between 1 and 5 seconds.
pub fn assert_told_to_retry(answer: Result<(), Status>) -> String {
    let status = answer.expect_err("refused");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay).expect("RetryInfo");
    assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&delay), "{delay:?}");
    status.message().to_owned()
}

/// The sum of all samples of `name` in a scrape that carry every label of `labels` (`operation="task"`).
pub fn sum(scrape: &str, name: &str, labels: &[&str]) -> u64 {
    let samples = scrape.lines().filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let (metric, own) = key.split_once('{').unwrap_or((key, ""));
        (metric == name && labels.iter().all(|label| own.contains(label)))
            .then(|| value.parse::<f64>().expect("a number"))
    });
    samples.sum::<f64>() as u64
}

/// How many operations have been counted on `chain`.
pub fn operations(scrape: &str, chain: &str) -> u64 {
    sum(scrape, "avs_gateway_operations_total", &[&format!("chain_id=\"{chain}\"")])
}

/// A number of the conservation block of `destination`. In its first moments a process has not asked its destinations yet:
/// waits for that.
pub fn spans(chainspan: &Chainspan, destination: &str, key: &str) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status = chainspan.status();
        if let Some(count) = status["destinations"][destination]["spans"][key].as_u64() {
            return count;
        }
        assert!(Instant::now() < deadline, "{destination} {key}: {status}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The end of every test: nothing is in hand, nothing is held, and the equation holds.
pub async fn assert_at_rest(chainspan: &Chainspan) {
    eventually("everything is given back", || chainspan.status()["memory"]["budget_used_bytes"] == 0).await;
    assert_conservation(&chainspan.status());
}

/// Waits until `condition` holds; after 30 s the test has failed.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends `message`, behind whatever prefix and headers it comes with, as no client library would. The answer's status.
pub async fn export_raw(address: SocketAddr, framed: Bytes, encoding: Option<&'static str>) -> Status {
    let socket = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut request =
        http::Request::post(format!("http://{address}{TRACES}")).header("content-type", "application/grpc");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let request = request.body(()).expect("sound headers");
    let mut client = client.ready().await.expect("a stream");
    let (answer, mut stream) = client.send_request(request, false).expect("sent");
    // A refusal may come before the last byte is out: then the stream is closed, and the answer is what counts.
    let _ = stream.send_data(framed, true);
    let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.expect("within 30 s").expect("an answer");
    let (head, mut body) = answer.into_parts();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
    }
    let trailers = body.trailers().await.ok().flatten();
    connection.abort();
    let status =
        Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers.unwrap_or_default()));
    status.expect("a gRPC status")
}

/// `message` behind a gRPC prefix.
pub fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("fits").to_be_bytes();
    [&[u8::from(compressed)], &length[..], message].concat().into()
}
