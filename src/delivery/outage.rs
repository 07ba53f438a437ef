//! An outage of a destination, from the moment its breaker opens until what had gathered on the disk is delivered: what there
//! is to say about it at its end.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::inflight::Accounting;

/// An outage that is not over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    opened: Instant,
    /// The breaker is closed again, and what had gathered is being delivered.
    closed: Option<Instant>,
    replayed: u64,
    discarded: u64,
}

impl Outage {
    /// The breaker has opened.
    pub(crate) fn new(accounting: &Accounting, now: Instant) -> Self {
        let Accounting { replayed, spans, .. } = accounting;
        Self { opened: now, closed: None, replayed: *replayed, discarded: spans.discarded }
    }

    /// The breaker has opened again before everything was delivered.
    pub(crate) fn reopened(&mut self) {
        self.closed = None;
    }

    /// The breaker has closed.
    pub(crate) fn closed(&mut self, now: Instant) {
        self.closed = Some(now);
    }

    /// How it went, once the breaker is closed and no span waits on the disk.
    pub(crate) fn end(&self, accounting: &Accounting) -> Option<Resumed> {
        let closed = self.closed.filter(|_| accounting.spans.spilled == 0)?;
        Some(Resumed {
            after: closed - self.opened,
            drained: accounting.replayed - self.replayed,
            lost: accounting.spans.discarded - self.discarded,
        })
    }
}

/// An outage that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// For how long the breaker was not closed.
    after: Duration,
    /// Spans that were delivered from the disk.
    drained: u64,
    /// Spans that were given up.
    lost: u64,
}

impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, drained, lost) = (spell(self.after), grouped(self.drained), grouped(self.lost));
        write!(f, "delivery resumed after {after}: {drained} spans drained, {lost} lost")
    }
}

/// `1h02m03s`, `1m57s`, `8s`.
fn spell(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest:02}s"),
        _ => format!("{hours}h{minutes:02}m{rest:02}s"),
    }
}

/// `48,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::inflight::Shares;
    use crate::otlp::Signal;

    /// Spans that were delivered live during the outage are not among those that were drained.
    #[test]
    fn an_outage_ends_when_nothing_waits_on_the_disk() {
        let now = Instant::now();
        let mut accounting = Accounting::default();
        let mut outage = Outage::new(&accounting, now);
        accounting.accept(Signal::Traces, 48_003);
        accounting.settle(Signal::Traces, 48_003, Shares { spilled: 48_000, delivered: 3, ..Shares::default() });
        outage.closed(now + Duration::from_secs(100));
        assert_eq!(outage.end(&accounting), None, "spans wait");
        outage.reopened();
        let delivered = Shares { delivered: 48_000, ..Shares::default() };
        accounting.settle_durable(Signal::Traces, 48_000, delivered);
        assert_eq!(outage.end(&accounting), None, "the breaker is open");
        outage.closed(now + Duration::from_secs(117));
        let end = outage.end(&accounting).expect("it is over").to_string();
        assert_eq!(end, "delivery resumed after 1m57s: 48,000 spans drained, 0 lost");
    }

    #[test]
    fn times_and_numbers_are_read_at_a_glance() {
        let spelt = [8, 60, 117, 3723, 360_000].map(|seconds| spell(Duration::from_secs(seconds)));
        assert_eq!(spelt, ["8s", "1m00s", "1m57s", "1h02m03s", "100h00m00s"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
