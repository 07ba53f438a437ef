//! Several gateways on a thread of their own, which encodes ahead of the senders.

use std::sync::mpsc as std_mpsc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc;

use super::character::Chain;
use super::draft::Flavour;
use super::fact::Facts;
use super::gateway::{Gateway, Settings};

/// Batches that are encoded ahead.
const AHEAD: usize = 32;

/// One encoded request, its truth, and whose it is.
#[derive(Debug)]
pub struct Sealed {
    /// Index of the gateway.
    pub gateway: usize,
    /// The batch's id at that gateway.
    pub id: u64,
    /// The encoded `ExportTraceServiceRequest`.
    pub body: Bytes,
    /// What it must add to the measurements if it is acknowledged.
    pub facts: Facts,
}

/// Gateways that export in turn, for ever. Dropping the fleet ends its thread.
#[derive(Debug)]
pub struct Fleet {
    batches: mpsc::Receiver<Sealed>,
    answers: std_mpsc::Sender<(usize, u64, bool)>,
}

impl Fleet {
    /// Starts `gateways`, which make requests of `spans` spans each.
    pub fn start(mut gateways: Vec<Gateway>, spans: usize) -> std::io::Result<Self> {
        let (sender, batches) = mpsc::channel(AHEAD);
        let (answers, answered) = std_mpsc::channel();
        std::thread::Builder::new().name("gateways".to_owned()).spawn(move || {
            if gateways.is_empty() {
                return;
            }
            for turn in 0.. {
                for (gateway, id, acknowledged) in answered.try_iter() {
                    let gateway: &mut Gateway = &mut gateways[gateway];
                    gateway.answered(id, acknowledged);
                }
                let index = turn % gateways.len();
                let batch = gateways[index].next_batch(spans, now_unix_nano());
                let body = Bytes::from(batch.request.encode_to_vec());
                let sealed = Sealed { gateway: index, id: batch.id, body, facts: batch.facts };
                if sender.blocking_send(sealed).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { batches, answers })
    }

    /// The next request; `None` only when the fleet has no gateway.
    pub async fn next(&mut self) -> Option<Sealed> {
        self.batches.recv().await
    }

    /// A handle that tells the gateways how their batches were answered.
    pub fn answers(&self) -> Answers {
        Answers(self.answers.clone())
    }
}

/// Tells gateways how their batches were answered.
#[derive(Clone, Debug)]
pub struct Answers(std_mpsc::Sender<(usize, u64, bool)>);

impl Answers {
    /// Batch `id` of `gateway` was acknowledged, or was not.
    pub fn tell(&self, gateway: usize, id: u64, acknowledged: bool) {
        // A fleet that has ended needs no answers.
        let _ = self.0.send((gateway, id, acknowledged));
    }
}

/// `count` gateways that share `chains`: most in production, some in staging, of both flavours. All chains are served by
/// every gateway.
pub fn gateways(count: usize, chains: &[Chain], seed: u64) -> Vec<Gateway> {
    (0..count)
        .map(|index| {
            let settings = Settings {
                service: if index % 3 == 2 { "newton-gateway" } else { "avs-gateway" }.to_owned(),
                environment: if index % 3 == 1 { "staging" } else { "production" }.to_owned(),
                instance: format!("gateway-{index}"),
                flavour: if index % 2 == 0 { Flavour::RustSdk } else { Flavour::Collector },
                chains: chains.to_vec(),
            };
            // Seeds far apart, so that no two gateways ever draw the same ids.
            Gateway::new(settings, seed.wrapping_mul(1_000_003).wrapping_add(index as u64))
        })
        .collect()
}

/// Now, in nanoseconds since the Unix epoch.
pub fn now_unix_nano() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
