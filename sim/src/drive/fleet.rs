//! Several gateways on a thread of their own, which encodes batches ahead of the senders.

use std::sync::mpsc as std_mpsc;

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc;

use crate::clock::now_unix_nano;
use crate::gateway::Gateway;
use crate::truth::BatchFacts;

/// Batches that are encoded ahead of the senders.
const ENCODE_AHEAD: usize = 32;

/// One encoded request, with its gateway and its meaning.
#[derive(Debug)]
pub struct EncodedBatch {
    /// Index of the gateway.
    pub gateway: usize,
    /// The batch's id at that gateway.
    pub id: u64,
    /// The encoded `ExportTraceServiceRequest`.
    pub body: Bytes,
    /// What it adds to the measurements once it is acknowledged.
    pub facts: BatchFacts,
}

/// Gateways that export in turn without end. Dropping the fleet ends its thread.
#[derive(Debug)]
pub struct Fleet {
    batches: mpsc::Receiver<EncodedBatch>,
    acks: std_mpsc::Sender<(usize, u64, bool)>,
}

impl Fleet {
    /// Starts `gateways`, which make requests of `spans` spans each.
    pub fn start(mut gateways: Vec<Gateway>, spans: usize) -> std::io::Result<Self> {
        let (sender, batches) = mpsc::channel(ENCODE_AHEAD);
        let (acks, answered) = std_mpsc::channel();
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
                let encoded = EncodedBatch { gateway: index, id: batch.id, body, facts: batch.facts };
                if sender.blocking_send(encoded).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { batches, acks })
    }

    /// The next request; `None` only when the fleet has no gateway.
    pub async fn next(&mut self) -> Option<EncodedBatch> {
        self.batches.recv().await
    }

    /// A handle that tells the gateways how their batches were answered.
    pub fn acks(&self) -> AckSender {
        AckSender(self.acks.clone())
    }
}

/// Tells gateways how their batches were answered.
#[derive(Clone, Debug)]
pub struct AckSender(std_mpsc::Sender<(usize, u64, bool)>);

impl AckSender {
    /// Batch `id` of `gateway` was acknowledged, or was not.
    pub fn tell(&self, gateway: usize, id: u64, acknowledged: bool) {
        // A fleet that has ended needs no acks.
        let _ = self.0.send((gateway, id, acknowledged));
    }
}
