//! The spool of a destination with a store: what is written, deleted, replaced and read again there.

use std::time::Duration;

use tokio::time::Instant;

use super::cursor::ReplayCursor;
use super::kind::{Drained, Spool};
use super::replay::{Replay, wanted};
use super::store_client::StoreClient;
use super::write::{letters, plan, record};
use crate::clock::unix_nano;
use crate::delivery::command::{Answer, EntryId};
use crate::delivery::inflight::{Accounting, InFlight, Remains, StoreTask};
use crate::delivery::meters::Meters;
use crate::delivery::parcel::Undelivered;
use crate::delivery::policy::Policy;
use crate::delivery::status::BreakerState;
use crate::otlp::{PerSignal, Signal};
use crate::store::{DeathReason, RecordId};

/// How long the disk is not asked again after it has failed.
const DISK_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Milliseconds after which a client should retry a request that could be neither delivered nor kept.
const RETRY_AFTER_MILLISECONDS: std::ops::RangeInclusive<u64> = 1_000..=5_000;

/// How a destination uses its share of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpoolSettings {
    pub(crate) spill_after: Duration,
    /// How long a record may wait on the disk.
    pub(crate) max_elapsed_time: Option<Duration>,
    pub(crate) max_request_bytes: usize,
}

/// One destination's share of the store.
#[derive(Debug)]
pub(crate) struct StoreSpool {
    settings: SpoolSettings,
    client: StoreClient,
    replay: Replay,
    /// When the oldest parcel that is in memory alone is to be written.
    write_due: Option<Instant>,
    /// Something in memory is on the disk by now.
    evict: bool,
    /// After a failure of the disk: when it is asked again.
    paused_until: Option<Instant>,
    /// Nothing is taken up any more.
    closed: bool,
    /// Replacements that failed.
    stuck: Vec<EntryId>,
}

impl StoreSpool {
    /// `something_waits`: an earlier process has left records.
    pub(crate) fn new(settings: SpoolSettings, client: StoreClient, something_waits: bool) -> Self {
        Self {
            settings,
            client,
            replay: Replay::new(something_waits),
            write_due: None,
            evict: false,
            paused_until: None,
            closed: false,
            stuck: Vec::new(),
        }
    }

    /// Has everything written that has waited long enough; with `all`, everything. `true`: something was handed back that can
    /// be neither written nor sent.
    fn write(&mut self, inflight: &mut InFlight, policy: &Policy, all: bool, now: Instant) -> bool {
        let paused = PerSignal::from_fn(|signal| policy.is_paused(signal));
        let plan = plan(inflight, &paused, all, self.settings.spill_after, now);
        self.write_due = plan.next;
        for overdue in plan.overdue {
            let record = record(&inflight.entries, self.client.destination(), overdue.entry, overdue.pieces);
            let dead = inflight.entries.begin_write(overdue.entry, true);
            let letters = letters(&inflight.entries, self.client.destination(), overdue.entry, dead);
            self.client.put(overdue.entry, std::iter::once(record).chain(letters).collect());
        }
        let handed_back = !plan.hopeless.is_empty();
        for entry in plan.hopeless {
            let retry_after = Duration::from_millis(fastrand::u64(RETRY_AFTER_MILLISECONDS));
            let destination = inflight.destination.clone();
            inflight.entries.hand_back(entry, Undelivered::Full { destination, retry_after });
            inflight.expiry.withdraw();
        }
        handed_back
    }

    /// Takes up what has been read.
    fn take_up(&mut self, inflight: &mut InFlight, policy: &Policy, meters: &mut Meters, now: Instant) {
        let Some((signal, aim, read)) = self.replay.take(&self.client) else { return };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                meters.unreadable(&error);
                self.paused_until = Some(now + DISK_RETRY_INTERVAL);
                return;
            }
        };
        inflight.entries.accounting.damaged(&read.damaged);
        meters.buried(DeathReason::CorruptRecord, read.damaged.records);
        if self.closed {
            return;
        }
        if let Some(first) = read.waiting.first() {
            inflight.entries.accounting.oldest_spilled[signal] = Some(first.received);
        }
        let cursor = &mut self.replay.cursors[signal];
        let claimed = cursor.claim_read(aim, read, now);
        if policy.signals.state(signal) == BreakerState::Open {
            // It was asked for before we knew that nobody would take it.
            claimed.into_iter().for_each(|record| cursor.release(record.id, false));
            return;
        }
        for record in claimed {
            let age = Duration::from_nanos(unix_nano().saturating_sub(record.received));
            let deadline = self.settings.max_elapsed_time.map(|limit| now + limit.saturating_sub(age));
            inflight.resume(&record, deadline, policy.limit.bytes());
        }
    }

    fn replace(&mut self, inflight: &InFlight, entry: EntryId) {
        let Some((replaced, Remains { left, dead })) = inflight.entries.remains(entry) else { return };
        let (entries, destination) = (&inflight.entries, self.client.destination());
        let left = (!left.is_empty()).then(|| record(entries, destination, entry, left));
        let parts = left.into_iter().chain(letters(entries, destination, entry, dead)).collect();
        self.client.replace(entry, replaced, parts);
    }
}

impl Spool for StoreSpool {
    const KEEPS: bool = true;

    fn expect(&mut self, paused: bool, now: Instant) {
        if paused {
            self.write_due = Some(now);
        } else if self.write_due.is_none() {
            self.write_due = Some(now + self.settings.spill_after);
        }
    }

    fn write_soon(&mut self, now: Instant) {
        self.write_due = Some(now);
    }

    fn rewind(&mut self) {
        self.replay.cursors.values_mut().for_each(ReplayCursor::rewind);
    }

    fn promote_deferred(&mut self) {
        self.replay.cursors.values_mut().for_each(ReplayCursor::promote_deferred);
    }

    fn work(&mut self, inflight: &mut InFlight, policy: &Policy, meters: &mut Meters, now: Instant) -> bool {
        if std::mem::take(&mut self.evict) {
            inflight.evict_durable();
        }
        let due = self.write_due.is_some_and(|due| due <= now);
        let handed_back = due && self.write(inflight, policy, false, now);
        // Before anything is taken up: what was delivered while it was being written must be known as gone.
        self.carry_out(inflight, now);
        self.take_up(inflight, policy, meters, now);
        for reason in std::mem::take(&mut inflight.entries.buried) {
            meters.buried(reason, 1);
        }
        handed_back
    }

    fn carry_out(&mut self, inflight: &mut InFlight, now: Instant) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            let stuck = std::mem::take(&mut self.stuck);
            inflight.entries.tasks.extend(stuck.into_iter().map(StoreTask::Replace));
        }
        let mut completed: Vec<RecordId> = Vec::new();
        for task in std::mem::take(&mut inflight.entries.tasks) {
            match task {
                StoreTask::Complete(signal, record) => {
                    self.replay.cursors[signal].complete(record, now);
                    completed.push(record);
                }
                StoreTask::Release { signal, record, defer } => self.replay.cursors[signal].release(record, defer),
                StoreTask::Bury(entry) => {
                    let dead = inflight.entries.begin_write(entry, false);
                    self.client.put(entry, letters(&inflight.entries, self.client.destination(), entry, dead));
                }
                StoreTask::Replace(entry) => self.replace(inflight, entry),
            }
        }
        if !completed.is_empty() {
            self.client.complete(completed);
        }
    }

    fn read_ahead(&mut self, inflight: &InFlight, policy: &Policy, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) || policy.is_held(now) || self.replay.is_reading() {
            return;
        }
        let max_bytes = self.settings.max_request_bytes;
        self.replay.read(&mut self.client, wanted(inflight, policy, max_bytes), max_bytes);
    }

    fn on_store_reply(&mut self, answer: Answer, inflight: &mut InFlight, meters: &mut Meters, now: Instant) {
        match answer {
            Answer::Written { entry, number, result } => {
                self.client.put_done(number);
                let written = inflight.entries.get(entry);
                match &result {
                    Ok(records) => {
                        self.evict = true;
                        if let Some(record) = records.first().filter(|_| written.will_wait_on_disk()) {
                            self.replay.cursors[written.signal()].claim(*record);
                        }
                    }
                    Err(error) => {
                        meters.not_kept(error);
                        self.write_due = Some(now);
                    }
                }
                let received = written.received(unix_nano());
                inflight.entries.written(entry, result, received);
            }
            Answer::Replaced { entry, record, result: Ok(_) } => {
                let cursor = &mut self.replay.cursors[inflight.entries.get(entry).signal()];
                cursor.complete(record, now);
                cursor.added();
                inflight.entries.replaced(entry);
            }
            Answer::Replaced { entry, result: Err(error), .. } => {
                meters.not_kept(&error);
                self.stuck.push(entry);
                self.paused_until = Some(now + DISK_RETRY_INTERVAL);
            }
            Answer::Read(signal, aim, read) => self.replay.arrived(signal, aim, read, self.client.last_put()),
        }
    }

    fn flush_waiters(&mut self, inflight: &mut InFlight, policy: &Policy, now: Instant) -> bool {
        self.write(inflight, policy, true, now);
        self.carry_out(inflight, now);
        false
    }

    fn drain(&mut self, inflight: &mut InFlight, policy: &Policy, late: bool, now: Instant) -> Drained {
        // A destination that is paused would not be tried before the end: there is nothing to wait for. The same holds for a
        // signal that it does not take.
        let given_up = late || !policy.breaker.is_closed();
        let paused = PerSignal::from_fn(|signal| given_up || policy.is_paused(signal));
        let mut handed_back = false;
        if paused.values().any(|paused| *paused) {
            handed_back = self.write(inflight, policy, given_up, now);
            inflight.hand_back_at_most_once(&paused, late);
            self.carry_out(inflight, now);
        }
        let requests = inflight.requests();
        let sending = Signal::ALL.into_iter().any(|signal| requests[signal] > 0 && !paused[signal]);
        // What was delivered while it was being written is on the disk all the same: it is deleted once the store has answered.
        let writing = self.client.is_putting(u64::MAX);
        Drained { done: !inflight.entries.any_waits() && !sending && !writing, handed_back }
    }

    fn close(&mut self) {
        self.closed = true;
    }

    fn wakes(&self, now: Instant) -> Option<Instant> {
        let disk = self.paused_until.filter(|until| *until > now);
        self.write_due.into_iter().chain(disk).min()
    }

    fn publish(&self, accounting: &mut Accounting) {
        for (signal, cursor) in self.replay.cursors.iter() {
            if cursor.is_over() || accounting.of(signal).spilled == 0 {
                accounting.oldest_spilled[signal] = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use bytes::Bytes;
    use tempfile::TempDir;
    use tokio::sync::mpsc;

    use super::*;
    use crate::config;
    use crate::delivery::command::Command;
    use crate::delivery::inflight::Admitted;
    use crate::delivery::policy::{Backoff, RequestLimit};
    use crate::otlp;
    use crate::store::{Store, StoreSettings};
    use crate::telemetry::Telemetry;

    const SECOND: Duration = Duration::from_secs(1);

    /// A parcel is delivered while it is being written. The drain is not over before it has been taken off the disk again:
    /// the next process would send it a second time.
    #[tokio::test]
    async fn a_drain_waits_for_what_is_delivered_while_it_is_written() {
        let directory = TempDir::with_prefix("spool-").expect("a directory");
        let settings = StoreSettings { directory: directory.path().to_owned(), max_bytes: 1 << 20, min_free_bytes: 0 };
        let store = Store::open(settings.clone()).expect("a store");
        let (inbox, mut commands) = mpsc::unbounded_channel();
        let client = StoreClient::new(store.clone(), "otlp/a", inbox.downgrade());
        let spill = SpoolSettings { spill_after: SECOND, max_elapsed_time: None, max_request_bytes: 1 << 20 };
        let mut spool = StoreSpool::new(spill, client, false);
        let now = Instant::now();
        let breaker = config::Breaker { consecutive_failures: 3, open_min: SECOND, open_max: 60 * SECOND };
        let limit = RequestLimit::new(1 << 20, Arc::new(AtomicUsize::new(1 << 20)));
        let policy = Policy::new(Backoff::new(SECOND, 8 * SECOND).expect("valid"), breaker, limit, now);
        let (mut inflight, mut meters) = (InFlight::new("otlp/a", 1), Meters::new("otlp/a", &Telemetry::new()));

        let pieces = vec![otlp::Piece { body: Bytes::from_static(b"body"), items: 1 }];
        let entry = inflight.entries.accept(None, (Signal::Traces, 1, false), None, &pieces);
        inflight.enqueue(entry, Signal::Traces, pieces, None);
        let admitted = Admitted { signals: PerSignal::from_fn(|_| true), replayed: true, max_bytes: 1 << 20 };
        inflight.prepare(0, admitted, now).expect("it waits");
        let now = Instant::now();
        spool.write(&mut inflight, &policy, true, now);
        for piece in inflight.connections[0].work.pop().expect("prepared").pieces {
            inflight.entries.acknowledge(&piece, 0);
        }
        assert!(!spool.drain(&mut inflight, &policy, false, now).done, "it is being written");

        let Some(Command::Store(answer)) = commands.recv().await else { panic!("the store answers") };
        spool.on_store_reply(answer, &mut inflight, &mut meters, now);
        spool.work(&mut inflight, &policy, &mut meters, now);
        assert!(spool.drain(&mut inflight, &policy, false, now).done);
        drop((spool, store));
        let store = Store::open(settings).expect("it is free again");
        assert_eq!(store.kept().expect("readable"), []);
    }
}
