//! What an operation tells beside how it ended: sizes, waiting times, nonces, breakers. As with endings, every function
//! sets what the span shows and the fact that a reader must find.

use super::draft::{self, Draft};
use super::ending::Stage;
use super::fact::Fact;

impl Stage<'_> {
    /// What a transaction tells of itself, however it ended.
    pub(super) fn transaction_figures(&mut self, draft: &mut Draft, fact: &mut Fact, worked: bool) {
        let size = self.rng.u64(1..12);
        let failed = if worked { self.rng.u64(..=size) / 3 } else { size };
        draft.put(draft::unsigned(self.flavour, "evm.tx.batch.size", size));
        draft.put(draft::unsigned(self.flavour, "evm.tx.batch.failed", failed));
        fact.more.items = Some([size - failed, failed]);
        let signer = *self.pick(&["aggregator-1", "aggregator-2"]);
        draft.put(draft::text("evm.signer.alias", signer));
        if self.rng.u8(..4) > 0 {
            let (latest, gap) = (self.rng.u64(1_000..9_000), self.rng.u64(..7));
            draft.put(draft::unsigned(self.flavour, "evm.tx.nonce_latest", latest));
            draft.put(draft::unsigned(self.flavour, "evm.tx.nonce_pending", latest + gap));
            fact.more.nonce_gap = Some((gap as i64, signer));
        }
        if self.rng.bool() {
            fact.more.queue_nano = Some(self.duration(draft, "evm.tx.queue.duration", 900));
        }
        if worked {
            fact.more.confirmation_nano = Some(self.duration(draft, "evm.tx.confirmation.duration", 30_000));
        } else if !fact.more.exhausted && self.rng.bool() {
            fact.more.exhausted = self.rng.u8(..3) == 0;
            draft.put(draft::boolean("evm.tx.exhausted", fact.more.exhausted));
        }
    }

    /// Seconds as a double, below `most` milliseconds. Never on a bucket bound, so that no expected bucket depends on how
    /// a double is rounded.
    pub(super) fn duration(&mut self, draft: &mut Draft, key: &str, most: u64) -> u64 {
        let nano = self.rng.u64(1..most) * 1_000_000 + 300_000;
        draft.put(draft::double(key, nano as f64 / 1e9));
        nano
    }

    /// Now and then a span tells in what state a breaker is.
    pub(super) fn breaker(&mut self, draft: &mut Draft, fact: &mut Fact, targets: &[&'static str]) {
        if self.rng.u8(..6) > 0 {
            return;
        }
        let target = *self.pick(targets);
        let states: [(u8, &str); 3] = [(0, "closed"), (1, "half_open"), (2, "open")];
        let (state, name) = *self.pick(&states);
        draft.put(draft::text("circuit_breaker.state", name));
        draft.put(draft::text("circuit_breaker.target", target));
        fact.more.breaker = Some((state, target));
    }
}
