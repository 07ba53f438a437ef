//! The official generated clients, plain and compressed; many at once; the health service.

use chainspan::admin::Readiness;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::*;

async fn channel(receiver: &Receiver) -> Channel {
    Endpoint::from_shared(format!("http://{}", receiver.address)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn the_generated_clients_are_answered_ok() {
    let receiver = Receiver::start(4 * MIB, 32 * MIB).await;
    let channel = channel(&receiver).await;
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut traces = TraceServiceClient::new(channel.clone());
        let mut metrics = MetricsServiceClient::new(channel.clone());
        let mut logs = LogsServiceClient::new(channel.clone());
        if let Some(encoding) = encoding {
            traces = traces.send_compressed(encoding).accept_compressed(encoding);
            metrics = metrics.send_compressed(encoding);
            logs = logs.send_compressed(encoding);
        }
        for spans in [0, 1, 16, 512, 8192] {
            let answer = traces.export(request(spans)).await.unwrap();
            assert_eq!(answer.into_inner().partial_success, None, "{encoding:?} {spans}");
        }
        metrics.export(ExportMetricsServiceRequest::default()).await.unwrap();
        logs.export(ExportLogsServiceRequest::default()).await.unwrap();
    }
    receiver.at_rest().await;
}

#[tokio::test]
async fn a_generated_client_understands_a_refusal() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let mut traces = TraceServiceClient::new(channel(&receiver).await);
    let status = traces.export(request(50_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("max_recv_msg_size_mib"), "{status:?}");
    let again = traces.export(request(1)).await;
    assert!(again.is_ok(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_connections_are_served_at_once() {
    let receiver = Receiver::start(4 * MIB, 256 * MIB).await;
    let address = receiver.address;
    let clients: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn(async move {
                let client = Client::connect(address).await;
                let body = [framed(0, &encoded(64))];
                for _ in 0..10 {
                    assert_eq!(client.grpc(TRACES, "", &body).await.code(), Code::Ok);
                }
            })
        })
        .collect();
    for client in clients {
        within(client).await.unwrap();
    }
    receiver.at_rest().await;
}

/// The health service says what the admin room says, for the whole server and for each service, and tells watchers.
#[tokio::test]
async fn health_follows_readiness() {
    let receiver = Receiver::start(MIB, 8 * MIB).await;
    let mut health = HealthClient::new(channel(&receiver).await);
    let named = |service: &str| HealthCheckRequest { service: service.into() };
    for service in ["", "opentelemetry.proto.collector.trace.v1.TraceService"] {
        let mut watch = health.watch(named(service)).await.unwrap().into_inner();
        let next = within(watch.message()).await.unwrap().unwrap();
        assert_eq!(next.status(), ServingStatus::Serving, "{service:?}");
        receiver.readiness.send(Readiness::NotServing).unwrap();
        let next = within(watch.message()).await.unwrap().unwrap();
        assert_eq!(next.status(), ServingStatus::NotServing, "{service:?}");
        let check = health.check(named(service)).await.unwrap().into_inner();
        assert_eq!(check.status(), ServingStatus::NotServing, "{service:?}");
        receiver.readiness.send(Readiness::Serving).unwrap();
        let next = within(watch.message()).await.unwrap().unwrap();
        assert_eq!(next.status(), ServingStatus::Serving, "{service:?}");
    }
    assert_eq!(health.check(named("x")).await.unwrap_err().code(), Code::NotFound);
}
