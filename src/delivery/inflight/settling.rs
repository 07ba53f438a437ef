//! What the end of an attempt means for the parcels in it.

use super::describe::describe;
use super::in_flight::InFlight;
use super::isolate::{Division, by_parcel, by_span};
use super::piece::{Batch, QueuedPiece};
use crate::clock::unix_nano;
use crate::delivery::parcel::Undelivered;
use crate::delivery::policy::{Failure, Judgement, code_name};
use crate::store::{Death, DeathReason};

impl InFlight {
    /// The destination has `batch`, of which it turned `rejected` items away.
    pub(crate) fn acknowledge(&mut self, batch: Batch, rejected: u64) {
        // The destination does not say whose spans it turned away: the oldest parcels bear it.
        let mut left = rejected;
        for piece in batch.pieces {
            let share = left.min(u64::from(piece.items));
            left -= share;
            self.entries.acknowledge(&piece, share);
        }
    }

    /// Counts an attempt for every parcel in `batch`.
    pub(crate) fn attempted(&mut self, batch: &Batch) {
        let now = unix_nano();
        let mut last = None;
        for piece in &batch.pieces {
            if last != Some(piece.entry) {
                self.entries.attempted(piece.entry, now);
            }
            last = Some(piece.entry);
        }
    }

    /// What may be sent again after an attempt that may have arrived; the rest is handed back.
    pub(crate) fn without_ambiguous(&mut self, pieces: Vec<QueuedPiece>, failure: &Failure) -> Vec<QueuedPiece> {
        let (ambiguous, left): (Vec<QueuedPiece>, _) =
            pieces.into_iter().partition(|piece| self.entries.get(piece.entry).at_most_once());
        for piece in ambiguous {
            let (destination, last_error) = (self.destination.clone(), failure.to_string());
            self.entries.hand_back(piece.entry, Undelivered::Ambiguous { destination, last_error });
            self.entries.release(&piece);
        }
        left
    }

    /// Cuts a refused batch in two. A parcel is cut only where what is refused of it can be kept (`keeps`), or where it is
    /// too large: without a store it goes back to its client as a whole.
    pub(crate) fn divide(&mut self, batch: Batch, judgement: Judgement, keeps: bool) -> Division {
        let one = batch.pieces.len() == 1 && !(keeps && self.may_be_kept(&batch));
        if judgement == Judgement::TooLarge || (keeps && !one) {
            by_span(batch, &mut self.entries)
        } else {
            by_parcel(batch)
        }
    }

    /// The offender alone. It becomes a dead letter; where there is no place for one (`keeps` is false, or it was to be sent
    /// once), its client hears the destination's own words.
    pub(crate) fn reject(&mut self, batch: Batch, failure: &Failure, keeps: bool) {
        let keeps = keeps && self.may_be_kept(&batch);
        let reason =
            if failure.judgement() == Judgement::TooLarge { DeathReason::TooLarge } else { DeathReason::Rejected };
        let code = failure.code.unwrap_or(tonic::Code::Unknown);
        for piece in batch.pieces {
            let (destination, message) = (self.destination.clone(), failure.message.clone());
            let why = Undelivered::Rejected { destination, code, message };
            if !keeps {
                self.entries.hand_back(piece.entry, why);
                self.entries.release(&piece);
                continue;
            }
            let now = unix_nano();
            let (attempts, first) = self.entries.get(piece.entry).attempts(now);
            let about = describe(batch.signal, &piece.body);
            let death = Death {
                reason,
                code: code_name(code).to_owned(),
                message: failure.message.clone(),
                attempts,
                first,
                last: now,
                chains: about.chains,
                operations: about.operations,
            };
            self.entries.bury(&piece, death, why);
        }
    }

    /// Whether a refused part of it may be put among the dead letters.
    fn may_be_kept(&self, batch: &Batch) -> bool {
        batch.pieces.iter().all(|piece| !self.entries.get(piece.entry).at_most_once())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;
    use tokio::time::Instant;
    use tonic::Code;

    use super::*;
    use crate::delivery::inflight::in_flight::Admitted;
    use crate::delivery::inflight::spool_state::StoreTask;
    use crate::otlp::{self, PerSignal, Signal};

    type Answered = oneshot::Receiver<Result<(), Undelivered>>;

    const ALL: fn() -> Admitted =
        || Admitted { signals: PerSignal::from_fn(|_| true), replayed: true, max_bytes: 1 << 20 };

    /// Parcels of ten spans each, in one batch; those of which it is true may be sent once only.
    fn batch(inflight: &mut InFlight, at_most_once: &[bool]) -> (Batch, Vec<Answered>) {
        let mut answers = Vec::new();
        for at_most_once in at_most_once {
            let piece = otlp::Piece { body: Bytes::from_static(b"body"), items: 10 };
            let (reply, answer) = oneshot::channel();
            let pieces = vec![piece];
            let parcel = (Signal::Traces, 10, *at_most_once);
            let entry = inflight.entries.accept(Some(reply), parcel, None, &pieces);
            inflight.enqueue(entry, Signal::Traces, pieces, None);
            answers.push(answer);
        }
        inflight.prepare(0, ALL(), Instant::now()).expect("something waits");
        (inflight.connections[0].work.pop().expect("it was prepared"), answers)
    }

    fn heard(inflight: &mut InFlight, answers: &mut [Answered]) -> Vec<Option<Result<(), Undelivered>>> {
        inflight.entries.answer();
        answers.iter_mut().map(|answer| answer.try_recv().ok()).collect()
    }

    /// What a destination turned away of a batch is borne by the oldest parcels, and by none for more than it holds.
    #[test]
    fn the_oldest_parcels_bear_what_was_turned_away() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let (batch, mut answers) = batch(&mut inflight, &[false, false, false]);
        inflight.acknowledge(batch, 13);
        let spans = inflight.entries.accounting.spans;
        assert_eq!((spans.delivered, spans.rejected), (17, 13));
        assert_eq!(heard(&mut inflight, &mut answers), vec![Some(Ok(())); 3]);
        assert!(inflight.is_empty() && inflight.entries.accounting.queue_bytes() == 0);
    }

    /// After silence only what may arrive twice is sent again.
    #[test]
    fn what_may_have_arrived_and_must_not_twice_is_handed_back() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let (batch, mut answers) = batch(&mut inflight, &[true, false]);
        let left = inflight.without_ambiguous(batch.pieces, &Failure::broken("reset"));
        assert_eq!(left.len(), 1);
        let (destination, last_error) = ("otlp/a".to_owned(), "reset".to_owned());
        let ambiguous = Undelivered::Ambiguous { destination, last_error };
        assert_eq!(heard(&mut inflight, &mut answers), [Some(Err(ambiguous)), None]);
    }

    /// With a store the offender becomes a dead letter that remembers its attempts; without, or when it was to be sent once,
    /// its client hears why.
    #[test]
    fn an_offender_is_kept_where_there_is_a_place_for_it() {
        let refusal = Failure::status(Code::InvalidArgument, "no such field");
        for (keeps, at_most_once, is_kept) in [(true, false, true), (true, true, false), (false, false, false)] {
            let mut inflight = InFlight::new("otlp/a", 1);
            let (batch, mut answers) = batch(&mut inflight, &[at_most_once]);
            let entry = batch.pieces[0].entry;
            inflight.attempted(&batch);
            inflight.reject(batch, &refusal, keeps);
            let tasks = if is_kept { vec![StoreTask::Bury(entry)] } else { Vec::new() };
            assert_eq!(inflight.entries.tasks, tasks);
            let heard = heard(&mut inflight, &mut answers);
            assert_eq!(matches!(heard[0], Some(Err(Undelivered::Rejected { .. }))), !is_kept, "{heard:?}");
            if is_kept {
                let dead = inflight.entries.begin_write(entry, false);
                assert_eq!((dead[0].death.attempts, dead[0].death.code.as_str()), (1, "INVALID_ARGUMENT"));
            }
        }
    }
}
