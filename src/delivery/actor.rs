//! The one task of a destination. It owns the parts; everybody else sends it commands. It never waits for one thing alone, and
//! never copies a body.
//!
//! There is no timer for coalescing: whenever a connection is free it takes everything that waits, up to the limit. So an
//! idle system sends at once, and while requests are in flight the next one grows.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::client::{Client, Finished};
use super::command::{Command, Moved};
use super::drain::Drain;
use super::inflight::{Accounting, Sending};
use super::parts::Parts;
use super::policy::{Event, Failure};
use super::settle::settle;
use super::spool::{Drained, Spool};
use crate::lock::lock;
use crate::otlp::Signal;

/// The most commands that are handled before the connections have their turn.
const COMMAND_BATCH: usize = 256;
/// When the alarm rings if there is nothing to wait for.
const NO_ALARM: Duration = Duration::from_secs(86_400);
/// An attempt that nobody waits for any more speaks against the destination, not against its clients, if it has taken longer
/// than this.
const SLOW_ATTEMPT: Duration = Duration::from_secs(1);

/// The task of a destination.
#[derive(Debug)]
pub(crate) struct Actor<S> {
    parts: Parts<S>,
    client: Arc<Client>,
    drain: Drain,
    /// The most bytes in memory, where nobody waits for them (debug destinations).
    max_queue_bytes: Option<u64>,
    /// One consistent view for everybody outside.
    published: Arc<Mutex<Accounting>>,
}

impl<S: Spool> Actor<S> {
    pub(crate) fn new(
        parts: Parts<S>,
        client: Client,
        max_queue_bytes: Option<u64>,
        published: Arc<Mutex<Accounting>>,
    ) -> Self {
        Self { parts, client: Arc::new(client), drain: Drain::default(), max_queue_bytes, published }
    }

    /// Works until nobody is left who could send a command.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::with_capacity(COMMAND_BATCH);
        let mut finished: Vec<(usize, Finished)> = Vec::new();
        let mut armed = Instant::now();
        let mut alarm: Pin<&mut Sleep> = pin!(sleep_until(armed));
        loop {
            let open = poll_fn(|cx| {
                for (index, connection) in self.parts.inflight.connections.iter_mut().enumerate() {
                    if let Poll::Ready(end) = connection.poll(cx) {
                        finished.push((index, end));
                    }
                }
                match inbox.poll_recv_many(cx, &mut commands, COMMAND_BATCH) {
                    Poll::Ready(0) => return Poll::Ready(false),
                    Poll::Ready(_) => return Poll::Ready(true),
                    Poll::Pending => {}
                }
                if alarm.as_mut().poll(cx).is_ready() || !finished.is_empty() {
                    return Poll::Ready(true);
                }
                Poll::Pending
            })
            .await;
            if !open {
                return;
            }
            let now = Instant::now();
            for (index, end) in finished.drain(..) {
                settle(&mut self.parts, index, end, now);
            }
            for command in commands.drain(..) {
                self.handle(command, now);
            }
            self.turn(now);
            let next = self.next_alarm(now);
            if next < armed || armed <= now {
                armed = next;
                alarm.as_mut().reset(armed);
            }
        }
    }

    /// What follows from everything that has happened, in this order: what is over is dropped before it could be written or
    /// sent, and answers go out once the accounting is published.
    fn turn(&mut self, now: Instant) {
        if self.parts.inflight.expiry.due(now).is_some_and(|due| due <= now) {
            self.expire(now);
        }
        let Parts { inflight, policy, spool, meters } = &mut self.parts;
        if spool.work(inflight, policy, meters, now) {
            self.drain.handed_back();
        }
        self.dispatch(now);
        let Parts { inflight, policy, spool, .. } = &mut self.parts;
        spool.carry_out(inflight, now);
        if !self.drain.is_closed() && !self.drain.is_active() {
            spool.read_ahead(inflight, policy, now);
        }
        self.finish_drain(now);
        self.publish();
        self.parts.inflight.entries.answer();
    }

    fn handle(&mut self, command: Command, now: Instant) {
        match command {
            Command::Take { signal, spans, at_most_once, pieces, held, deadline, reply } => {
                let bytes: u64 = pieces.iter().map(|piece| piece.body.len() as u64).sum();
                let has_room = !self.drain.is_closed() && self.has_room(signal, bytes);
                let Parts { inflight, policy, spool, .. } = &mut self.parts;
                let entry = inflight.entries.accept(reply, (signal, spans, at_most_once), deadline, &pieces);
                if !has_room {
                    inflight.entries.turn_away(entry, &pieces);
                    return;
                }
                inflight.expiry.expect(deadline);
                spool.expect(policy.is_paused(signal), now);
                inflight.enqueue(entry, signal, pieces, held.as_ref());
            }
            Command::Withdrawn => self.parts.inflight.expiry.withdraw(),
            Command::RetryNow => self.retry_now(now),
            Command::Store(answer) => {
                let Parts { inflight, spool, meters, .. } = &mut self.parts;
                spool.on_store_reply(answer, inflight, meters, now);
            }
            Command::Moved(moved) => {
                self.parts.inflight.entries.accounting.moved(moved);
                if let Moved::Revived(_) = moved {
                    self.parts.spool.rewind();
                }
            }
            Command::FlushWaiters { done } => {
                let Parts { inflight, policy, spool, .. } = &mut self.parts;
                // Whoever asked may have stopped waiting.
                let _ = done.send(spool.flush_waiters(inflight, policy, now));
            }
            Command::Drain { deadline, done } => {
                self.retry_now(now);
                self.drain.begin(deadline, now, done);
            }
        }
    }

    fn retry_now(&mut self, now: Instant) {
        self.parts.end_pauses_of_our_own();
        // With a store there is no hurry: nothing is lost by not trying a destination that is down.
        if !S::KEEPS {
            self.parts.policy.retry_now(now);
        }
    }

    /// Whether `bytes` of `signal` find room. Only a debug destination lacks it; what it does not take makes room for what it
    /// takes.
    fn has_room(&mut self, signal: Signal, bytes: u64) -> bool {
        let Some(max) = self.max_queue_bytes else { return true };
        let Parts { inflight, policy, .. } = &mut self.parts;
        if inflight.entries.accounting.queue_bytes() + bytes > max && policy.signals.is_closed(signal) {
            inflight.discard(|signal| !policy.signals.is_closed(signal));
        }
        inflight.entries.accounting.queue_bytes() + bytes <= max
    }

    /// Hands back what has lapsed, and ends attempts that nobody waits for.
    fn expire(&mut self, now: Instant) {
        let Parts { inflight, policy, .. } = &mut self.parts;
        for (index, expired) in inflight.expire(now, |index| policy.is_probe(index)) {
            self.parts.policy.ended(index);
            let took = self.parts.inflight.cancel(index, now);
            if expired || took >= SLOW_ATTEMPT {
                let message = format!("no answer after {} ms, when the last client had given up", took.as_millis());
                self.parts.failed(index, &Failure::transport(message), Event::Failed, now);
            }
        }
    }

    /// Gives every free connection something to do.
    fn dispatch(&mut self, now: Instant) {
        if self.parts.policy.tick(now) {
            self.parts.breaker_changed(now);
        }
        if self.drain.is_closed() || self.parts.policy.is_held(now) {
            return;
        }
        let connections = &self.parts.inflight.connections;
        let mut in_flight = connections.iter().filter(|connection| connection.sending.is_some()).count();
        for index in 0..connections.len() {
            if !self.parts.policy.breaker.admits(in_flight) {
                return;
            }
            if self.parts.inflight.connections[index].is_free(now)
                && let Some(signal) = self.start(index, now)
            {
                self.parts.policy.started(signal, index);
                in_flight += 1;
            }
        }
    }

    /// Sends the next batch on connection `index`, and says of which signal; `None`: there is none.
    fn start(&mut self, index: usize, now: Instant) -> Option<Signal> {
        let admitted = self.parts.admitted(!self.drain.is_active());
        let (signal, bodies) = self.parts.inflight.prepare(index, admitted, now)?;
        let connection = &mut self.parts.inflight.connections[index];
        let attempt = self.client.clone().attempt(connection.link.take(), signal, bodies);
        connection.sending = Some(Sending { future: Box::pin(attempt), since: now });
        Some(signal)
    }

    /// Ends, if somebody waits for that and nothing more is to be done, or can be.
    fn finish_drain(&mut self, now: Instant) {
        let Some(deadline) = self.drain.deadline() else { return };
        let Parts { inflight, policy, spool, .. } = &mut self.parts;
        let Drained { done, handed_back } = spool.drain(inflight, policy, self.drain.is_late(now), now);
        if handed_back {
            self.drain.handed_back();
        }
        if !done && now < deadline {
            return;
        }
        spool.close();
        if inflight.give_up(S::KEEPS) {
            self.drain.handed_back();
        }
        spool.carry_out(inflight, now);
        self.publish();
        self.drain.end();
    }

    fn next_alarm(&self, now: Instant) -> Instant {
        let Parts { inflight, policy, spool, .. } = &self.parts;
        let pauses = inflight.connections.iter().filter_map(|connection| connection.pause.map(|pause| pause.until));
        // What is over already waits for something else, not for the clock.
        let pauses = pauses.chain(policy.wakes()).filter(|until| *until > now);
        let due = inflight.expiry.due(now).into_iter().chain(spool.wakes(now)).chain(self.drain.wakes(now));
        pauses.chain(due).min().unwrap_or(now + NO_ALARM)
    }

    fn publish(&mut self) {
        let Parts { inflight, policy, spool, meters } = &mut self.parts;
        let oldest = inflight.oldest();
        let accounting = &mut inflight.entries.accounting;
        (accounting.oldest, accounting.breaker) = (oldest, policy.breaker.state());
        spool.publish(accounting);
        debug_assert!(accounting.spans.holds() && accounting.requests.holds(), "{accounting:?}");
        meters.publish(accounting);
        accounting.clone_into(&mut lock(&self.published));
    }
}
