//! Clients that send numbered spans and tell the oracle what they were answered. They never send a span twice: what is not
//! acknowledged is given up, so every repeat at the agent is chainspan's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::numbers;
use super::oracle::{Oracle, Outcome};

/// How long a client waits for an answer; it says so in `grpc-timeout`.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a refusal: the impatient client of a fast test.
const PAUSE: Duration = Duration::from_millis(20);

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Clients, each with a connection and one request in flight.
    pub clients: u32,
    /// Spans in a request.
    pub spans: u32,
    /// Spans a second of all clients together; `None`: as fast as they are answered.
    pub rate: Option<u32>,
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    running: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts clients that send to whatever process `target` names.
    pub fn start(oracle: &Arc<Oracle>, target: &watch::Receiver<Option<SocketAddr>>, shape: Shape) -> Self {
        let (running, runs) = watch::channel(true);
        let mut clients = JoinSet::new();
        for _ in 0..shape.clients {
            let client = Client { oracle: oracle.clone(), target: target.clone(), running: runs.clone(), shape };
            clients.spawn(client.run());
        }
        Self { running, clients }
    }

    /// Sends nothing new and waits for the answers that are due.
    pub async fn stop(mut self) {
        self.running.send_replace(false);
        while self.clients.join_next().await.is_some() {}
    }
}

struct Client {
    oracle: Arc<Oracle>,
    target: watch::Receiver<Option<SocketAddr>>,
    running: watch::Receiver<bool>,
    shape: Shape,
}

impl Client {
    async fn run(mut self) {
        let mut due = Instant::now();
        while *self.running.borrow() {
            let Some(address) = self.address().await else { return };
            let Ok(channel) = connect(address).await else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let mut service = TraceServiceClient::new(channel);
            while *self.running.borrow() && *self.target.borrow() == Some(address) {
                self.pace(&mut due).await;
                match send(&self.oracle, &mut service, self.shape.spans).await {
                    Outcome::Acknowledged => {}
                    Outcome::Failed(_) => {
                        tokio::time::sleep(PAUSE).await;
                        break;
                    }
                }
            }
        }
    }

    async fn address(&mut self) -> Option<SocketAddr> {
        tokio::select! {
            found = self.target.wait_for(Option::is_some) => found.ok().and_then(|address| *address),
            // An error means that the load is gone.
            _ = self.running.wait_for(|running| !running) => None,
        }
    }

    /// An open loop: who is late catches up, but not on more than a second.
    async fn pace(&self, due: &mut Instant) {
        let Some(rate) = self.shape.rate else { return };
        let now = Instant::now();
        *due = (*due).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
        tokio::time::sleep_until((*due).into()).await;
        *due += Duration::from_secs(1) * self.shape.spans * self.shape.clients / rate;
    }
}

async fn connect(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true).connect().await
}

/// One request of `spans` new spans, awaited.
pub async fn send(oracle: &Oracle, service: &mut TraceServiceClient<Channel>, spans: u32) -> Outcome {
    let (ticket, first) = oracle.sending(spans);
    let mut request = Request::new(numbers::request(first, spans));
    request.set_timeout(PATIENCE);
    let outcome = match tokio::time::timeout(PATIENCE, service.export(request)).await {
        Ok(Ok(answer)) if answer.get_ref().partial_success.is_none() => Outcome::Acknowledged,
        Ok(Ok(_)) => Outcome::Failed(Code::DataLoss),
        Ok(Err(status)) => Outcome::Failed(status.code()),
        Err(_) => Outcome::Failed(Code::DeadlineExceeded),
    };
    oracle.finished(ticket, outcome);
    outcome
}

/// A client for single requests.
pub async fn service(address: SocketAddr) -> anyhow::Result<TraceServiceClient<Channel>> {
    Ok(TraceServiceClient::new(connect(address).await?))
}
