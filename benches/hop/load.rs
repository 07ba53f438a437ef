//! The load generator: as many connections as there are gateways, one request in flight on each, as an SDK's exporter does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use crate::wire;

/// Open connections to the process under test.
pub(crate) struct Load {
    channels: Vec<Channel>,
    bodies: Arc<Vec<Bytes>>,
    encoding: Option<CompressionEncoding>,
}

/// What a stretch of load came to.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Requests answered OK.
    pub(crate) ok: u64,
    /// The first error, should there have been any.
    pub(crate) error: Option<String>,
    /// How long each request that was answered OK took.
    pub(crate) latencies: Vec<Duration>,
    /// How long it all took.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Latency below which the share `q` of the requests was answered.
    pub(crate) fn quantile(&mut self, q: f64) -> Duration {
        self.latencies.sort_unstable();
        let at = (self.latencies.len() as f64 * q) as usize;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl Load {
    /// Opens `connections` connections to `address`; bodies are sent in `encoding`.
    pub(crate) async fn connect(
        address: SocketAddr,
        connections: usize,
        bodies: Arc<Vec<Bytes>>,
        encoding: Option<CompressionEncoding>,
    ) -> Result<Self, tonic::transport::Error> {
        let mut channels = Vec::new();
        for _ in 0..connections {
            channels.push(wire::connect(address).await?);
        }
        Ok(Self { channels, bodies, encoding })
    }

    /// As fast as answers come, for `time`.
    pub(crate) async fn saturate(&self, time: Duration) -> Outcome {
        let end = Instant::now() + time;
        self.each_connection(move |_| async move { (Instant::now() < end).then(Instant::now) }).await
    }

    /// `rate` requests a second over all connections, for `time`. A request that its connection was not free for in time
    /// is counted from when it was due, not from when it could at last be sent.
    pub(crate) async fn pace(&self, rate: f64, time: Duration) -> Outcome {
        let connections = self.channels.len();
        let begin = Instant::now();
        let step = Duration::from_secs_f64(1.0 / rate);
        self.each_connection(move |(connection, nth)| async move {
            let due = begin + step.mul_f64((nth * connections + connection) as f64);
            if due > begin + time {
                return None;
            }
            if due < Instant::now() {
                return Some(due);
            }
            tokio::time::sleep_until(due).await;
            Some(Instant::now())
        })
        .await
    }

    /// Sends on each connection one request after the other. `turn` is given the connection and the request's number on
    /// it, and says from when the request counts once it may go, or `None` at the end.
    async fn each_connection<F, T>(&self, turn: F) -> Outcome
    where
        F: Fn((usize, usize)) -> T + Clone + Send + 'static,
        T: Future<Output = Option<Instant>> + Send,
    {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for (connection, channel) in self.channels.iter().cloned().enumerate() {
            let (turn, bodies, encoding) = (turn.clone(), self.bodies.clone(), self.encoding);
            tasks.spawn(async move {
                let mut outcome = Outcome::default();
                let mut nth = 0;
                while let Some(since) = turn((connection, nth)).await {
                    // A different place in the list for every connection, so that neighbours do not send the same body.
                    let body = bodies[(nth * 7 + connection * 11) % bodies.len()].clone();
                    match wire::export_in(&channel, body, encoding).await {
                        Ok(_) => {
                            outcome.ok += 1;
                            outcome.latencies.push(since.elapsed());
                        }
                        Err(status) => {
                            outcome.error = Some(status.to_string());
                            break;
                        }
                    }
                    nth += 1;
                }
                outcome
            });
        }
        let mut all = Outcome::default();
        for outcome in tasks.join_all().await {
            all.ok += outcome.ok;
            all.latencies.extend(outcome.latencies);
            all.error = all.error.or(outcome.error);
        }
        all.elapsed = begin.elapsed();
        all
    }
}
