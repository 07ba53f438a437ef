//! `grpc.health.v1.Health`: passes on the readiness that the admin room has found, for the server as a whole (service `""`)
//! and for each OTLP service.
//!
//! `Check` and `Watch` are answered from two registers. A watch lasts as long as its client likes, and a server that
//! drains waits for every stream: so when the drain begins, the watchers are told NOT_SERVING and their register is
//! emptied, which ends their streams, while `Check` keeps answering NOT_SERVING until the end.

use std::future::Future;

use http::Request;
use tokio::sync::watch;
use tonic::body::Body;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower_service::Service;

use super::reply::Reply;
use crate::admin::Readiness;
use crate::delivery::Signal;

pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(super) const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Longest health request: it names one service.
const MAX_REQUEST_BYTES: usize = 4 * 1024;

/// Answers health requests.
#[derive(Clone)]
pub(super) struct HealthEndpoint {
    check: HealthServer<HealthService>,
    watch: HealthServer<HealthService>,
}

impl std::fmt::Debug for HealthEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HealthEndpoint")
    }
}

/// Tells [`HealthEndpoint`] what to answer.
#[derive(Debug)]
pub(super) struct Reporter {
    check: HealthReporter,
    watch: HealthReporter,
}

impl HealthEndpoint {
    pub(super) fn new() -> (Self, Reporter) {
        let reporter = Reporter { check: HealthReporter::new(), watch: HealthReporter::new() };
        let server = |reporter: &HealthReporter| {
            HealthServer::new(HealthService::from_health_reporter(reporter.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
        };
        (Self { check: server(&reporter.check), watch: server(&reporter.watch) }, reporter)
    }

    /// Answers a request whose path is [`CHECK`] or [`WATCH`].
    pub(super) async fn answer(mut self, request: Request<Body>) -> http::Response<Reply> {
        let server = if request.uri().path() == WATCH { &mut self.watch } else { &mut self.check };
        match server.call(request).await {
            Ok(response) => response.map(Reply::Health),
            Err(never) => match never {},
        }
    }
}

impl Reporter {
    /// Follows `readiness` until `drain` completes. Never returns, so that it can run beside the server.
    pub(super) async fn follow(
        mut self,
        mut readiness: watch::Receiver<Readiness>,
        drain: impl Future<Output = ()>,
    ) -> std::convert::Infallible {
        let mut drain = std::pin::pin!(drain);
        loop {
            let now = *readiness.borrow_and_update();
            self.set(match now {
                Readiness::Serving => ServingStatus::Serving,
                Readiness::NotServing => ServingStatus::NotServing,
            })
            .await;
            tokio::select! {
                () = &mut drain => break,
                changed = readiness.changed() => if changed.is_err() {
                    drain.await;
                    break;
                }
            }
        }
        self.set(ServingStatus::NotServing).await;
        for service in services() {
            self.watch.clear_service_status(service).await;
        }
        std::future::pending().await
    }

    async fn set(&self, status: ServingStatus) {
        for service in services() {
            self.check.set_service_status(service, status).await;
            self.watch.set_service_status(service, status).await;
        }
    }
}

/// The services whose health can be asked for: the whole server, and each gRPC service.
fn services() -> impl Iterator<Item = &'static str> {
    let of_signal = |signal: Signal| signal.grpc_path().trim_start_matches('/').split('/').next().unwrap_or_default();
    std::iter::once("").chain(Signal::ALL.map(of_signal))
}
