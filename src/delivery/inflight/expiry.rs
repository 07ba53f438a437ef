//! What need not be delivered any more: parcels that their client has withdrawn, parcels whose time is over. And when it is
//! worth looking for them.

use std::time::Duration;

use tokio::time::Instant;

use super::describe::describe;
use super::entries::Entries;
use super::entry::Lapse;
use super::piece::QueuedPiece;
use crate::clock::unix_nano;
use crate::delivery::parcel::Undelivered;
use crate::store::{Death, DeathReason};

/// The shortest time between two passes over everything in flight: it bounds what a flood of withdrawals costs.
const PASS_INTERVAL: Duration = Duration::from_millis(10);

/// When the next pass is due.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    withdrawn: bool,
    earliest_deadline: Option<Instant>,
    last_pass: Option<Instant>,
}

impl Expiry {
    /// Something has been withdrawn or handed back, and is still in memory.
    pub(crate) fn withdraw(&mut self) {
        self.withdrawn = true;
    }

    /// Something is in memory whose time is over at `deadline`.
    pub(crate) fn expect(&mut self, deadline: Option<Instant>) {
        self.earliest_deadline = self.earliest_deadline.into_iter().chain(deadline).min();
    }

    /// When a pass is worth its while.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let wanted = if self.withdrawn { Some(now) } else { self.earliest_deadline }?;
        Some(self.last_pass.map_or(wanted, |last| wanted.max(last + PASS_INTERVAL)))
    }

    /// A pass begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        (self.withdrawn, self.last_pass) = (false, Some(now));
    }

    /// A pass has ended: the deadlines that are left.
    pub(crate) fn end(&mut self, deadlines: impl Iterator<Item = Instant>, now: Instant) {
        // What is over and still out is on its way, and on the disk.
        self.earliest_deadline = deadlines.filter(|deadline| *deadline > now).min();
    }
}

/// Whether `piece` is still to be sent to `destination`. One whose parcel has lapsed is given up, and its parcel handed back;
/// one that has been on the disk for too long is a dead letter.
pub(crate) fn still_wanted(entries: &mut Entries, piece: &QueuedPiece, now: Instant, destination: &str) -> bool {
    if entries.get(piece.entry).outlived(now) {
        bury(entries, piece, destination);
        return false;
    }
    if hand_back_lapsed(entries, piece, now, destination) {
        entries.release(piece);
        return false;
    }
    true
}

/// Whether the parcel of `piece` has lapsed; then it is handed back, unless it was before.
pub(crate) fn hand_back_lapsed(entries: &mut Entries, piece: &QueuedPiece, now: Instant, destination: &str) -> bool {
    let entry = entries.get(piece.entry);
    let Some(lapse) = entry.lapse(now) else { return false };
    let why = match lapse {
        Lapse::Settled => return true,
        Lapse::Withdrawn => Undelivered::Closed,
        Lapse::Expired => {
            let last = entries.accounting.last_error_of(entry.signal()).unwrap_or("it has not answered yet");
            Undelivered::Timeout { destination: destination.to_owned(), last_error: last.to_owned() }
        }
    };
    entries.hand_back(piece.entry, why);
    true
}

fn bury(entries: &mut Entries, piece: &QueuedPiece, destination: &str) {
    let now = unix_nano();
    let entry = entries.get(piece.entry);
    let last_error = entries.accounting.last_error_of(entry.signal()).unwrap_or("it was not sent").to_owned();
    let (attempts, first) = entry.attempts(now);
    let about = describe(entry.signal(), &piece.body);
    let death = Death {
        reason: DeathReason::Expired,
        code: String::new(),
        message: format!("max_elapsed_time is over; {last_error}"),
        attempts,
        first,
        last: now,
        chains: about.chains,
        operations: about.operations,
    };
    let why = Undelivered::Timeout { destination: destination.to_owned(), last_error };
    entries.bury(piece, death, why);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::delivery::inflight::spool_state::StoreTask;
    use crate::otlp::{self, Signal};
    use crate::store::{RecordId, Waiting};

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A withdrawal is looked at soon, a deadline in time, and a flood of either not more often than every 10 ms.
    #[test]
    fn passes_are_due_in_time_and_not_too_often() {
        let now = Instant::now();
        let mut expiry = Expiry::default();
        assert_eq!(expiry.due(now), None);
        expiry.expect(Some(now + 50 * MILLISECOND));
        expiry.expect(Some(now + 20 * MILLISECOND));
        expiry.expect(None);
        assert_eq!(expiry.due(now), Some(now + 20 * MILLISECOND));
        expiry.withdraw();
        assert_eq!(expiry.due(now), Some(now));
        expiry.begin(now);
        expiry.end([now, now + 50 * MILLISECOND].into_iter(), now);
        assert_eq!(expiry.due(now), Some(now + 50 * MILLISECOND), "what is over is not waited for");
        expiry.withdraw();
        assert_eq!(expiry.due(now + MILLISECOND), Some(now + PASS_INTERVAL));
    }

    fn body() -> otlp::Piece {
        otlp::Piece { body: Bytes::from_static(b"body"), items: 1 }
    }

    fn piece(entry: usize) -> QueuedPiece {
        QueuedPiece { body: body().body, items: 1, entry, sequence: 1, held: None }
    }

    /// In memory, a parcel whose time is over goes back to its client; a piece of it that is still out is dropped later.
    #[test]
    fn what_is_over_is_handed_back_once() {
        let now = Instant::now();
        let mut entries = Entries::default();
        let bodies = [body(), body()];
        let entry = entries.accept(None, (Signal::Logs, 0, false), Some(now + MILLISECOND), &bodies);
        let piece = piece(entry);
        assert!(still_wanted(&mut entries, &piece, now, "otlp/a"));
        assert!(!still_wanted(&mut entries, &piece, now + MILLISECOND, "otlp/a"));
        assert_eq!(entries.accounting.requests.discarded, 1);
        assert!(hand_back_lapsed(&mut entries, &piece, now, "otlp/a"), "settled");
        assert!(!still_wanted(&mut entries, &piece, now, "otlp/a"));
        assert_eq!((entries.accounting.requests.discarded, entries.accounting.queue_bytes()), (1, 0));
    }

    /// On the disk it becomes a dead letter that says for how long nobody took it.
    #[test]
    fn what_outlives_its_time_on_the_disk_is_a_dead_letter() {
        let now = Instant::now();
        let mut entries = Entries::default();
        entries.accounting.last_error = Some("UNAVAILABLE: closed".into());
        let record = Waiting { id: RecordId(1), signal: Signal::Logs, body: body().body, spans: 0, received: 1 };
        let entry = entries.resume(&record, Some(now), &[body()]);
        assert!(!still_wanted(&mut entries, &piece(entry), now, "otlp/a"));
        assert_eq!(entries.tasks, [StoreTask::Replace(entry)]);
        let (_, remains) = entries.remains(entry).expect("it is durable");
        assert_eq!(remains.dead.len(), 1);
        assert_eq!(remains.dead[0].death.message, "max_elapsed_time is over; UNAVAILABLE: closed");
        assert_eq!(remains.dead[0].death.reason, DeathReason::Expired);
    }
}
