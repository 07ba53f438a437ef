//! The receiver as a whole: its connections, and what its health service says, until it has drained.

use std::future::Future;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::connections;
use super::failures::FailedRequests;
use super::grpc::GrpcService;
use super::health::HealthEndpoint;
use crate::admin::Readiness;
use crate::config;
use crate::pipeline::Pipeline;
use crate::telemetry::Telemetry;

/// Serves OTLP over gRPC on `listener` until `shutdown` completes, then refuses new requests (UNAVAILABLE with
/// RetryInfo, GOAWAY), finishes those that are open, and returns when the last connection is closed. How long that may
/// take is for the caller to say: dropping the future closes the listener and every connection. `readiness` is what the
/// health service says.
pub async fn serve(
    listener: TcpListener,
    pipeline: Pipeline,
    settings: &config::Receiver,
    telemetry: &Telemetry,
    readiness: watch::Receiver<Readiness>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (health, reporter) = HealthEndpoint::new();
    let service =
        GrpcService::new(pipeline, settings.protocols.grpc.max_request_bytes, FailedRequests::new(telemetry), health);
    let (tell, told) = oneshot::channel::<()>();
    let signal = async {
        shutdown.await;
        service.drain();
        // Nobody listens any more when the server has ended.
        let _ = tell.send(());
    };
    let drained = async {
        // An error means that the server has ended, and we with it.
        let _ = told.await;
    };
    tokio::select! {
        () = connections::serve(listener, service.clone(), settings.protocols.grpc.max_concurrent_streams, signal) => {}
        never = reporter.follow(readiness, drained) => match never {},
    }
}
