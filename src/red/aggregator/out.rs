//! What the aggregator hands out: windows, each once, running totals, and the health of each chain.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Aggregator, AggregatorRules, ChainState};
use crate::red::latest::LatestByWindow;
use crate::red::ledger::{Ledger, families};
use crate::red::metric::Metric;
use crate::red::registry::Registry;
use crate::red::snapshot::{Family, Series, SeriesValue, Snapshot};
use crate::red::stage::Dims;
use crate::red::window::{self, OpenWindows, Window};

/// Windows without counts that are handed out in a row for their gauges' sake. After more of them the clock has jumped, and
/// the earlier ones are left out.
const MAX_QUIET_WINDOWS: u64 = 32;

/// Which value of a gauge is asked for: the latest, or that of the windows handed out.
type Choose<T> = fn(&LatestByWindow<T>) -> Option<T>;

impl Aggregator {
    /// Hands out the windows that are over.
    pub(in crate::red) fn close(&mut self, open: OpenWindows) -> Vec<Window> {
        let mut closed = Vec::new();
        let quiet_since =
            self.next.max(self.began.unwrap_or(u64::MAX)).max(open.oldest.saturating_sub(MAX_QUIET_WINDOWS));
        let mut quiet = quiet_since;
        while let Some(entry) = self.windows.first_entry() {
            if entry.get().last >= open.oldest {
                break;
            }
            let (first, waiting) = entry.remove_entry();
            (quiet..first)
                .for_each(|number| closed.extend(self.hand_out(number..=number, None, window::start(number + 1))));
            closed.extend(self.hand_out(first..=waiting.last, Some(waiting.ledger), window::start(waiting.last + 1)));
            quiet = quiet.max(waiting.last + 1);
        }
        let until = self.windows.keys().next().map_or(open.oldest, |first| open.oldest.min(*first));
        (quiet..until)
            .for_each(|number| closed.extend(self.hand_out(number..=number, None, window::start(number + 1))));
        self.next = self.next.max(until);
        closed
    }

    /// Hands out all windows; the current one is cut at `now`.
    pub(in crate::red) fn flush(&mut self, open: OpenWindows, now: u64) -> Vec<Window> {
        let mut closed = self.close(OpenWindows { oldest: open.current, ..open });
        let (mut first, mut current) = (open.current, Ledger::default());
        for (number, waiting) in std::mem::take(&mut self.windows) {
            // What a clock that had jumped ahead left in windows to come belongs to the current one.
            first = first.min(number);
            current.absorb(waiting.ledger);
        }
        closed.extend(self.hand_out(first..=u64::MAX, Some(current), now));
        self.next = self.next.max(open.current);
        closed
    }

    /// Makes a window of what was counted; nothing if there is nothing to show.
    fn hand_out(&mut self, numbers: RangeInclusive<u64>, ledger: Option<Ledger>, end: u64) -> Option<Window> {
        let start = window::start(*numbers.start()).max(self.handed_out);
        let end = end.max(start + 1);
        let ledger = ledger.unwrap_or_default();
        let (overflow, late, future) = (ledger.overflow, ledger.late, ledger.future);
        self.gauges.values_mut().for_each(|seen| seen.latest.hand_out(*numbers.end()));
        self.successes.values_mut().for_each(|success| success.latest.hand_out(*numbers.end()));
        let gauges = self.gauge_series(end, LatestByWindow::handed_out, LatestByWindow::handed_out);
        let gauges = gauges.map(|(metric, series)| (metric, Series { start_unix_nano: start, ..series }));
        let families = families(ledger.into_series(start).chain(gauges));
        self.handed_out = end;
        let snapshot = self.snapshot_of(families, overflow, late, future);
        (!snapshot.families.is_empty()).then_some(Window { start_unix_nano: start, end_unix_nano: end, snapshot })
    }

    /// The running totals. If `now` is earlier than a time that is known already, nothing is evaluated or retired.
    pub(in crate::red) fn snapshot(&mut self, now: u64, registry: &Registry) -> Snapshot {
        if now >= self.now {
            self.tend(now, registry);
        }
        let gauges = self.gauge_series(self.now, |seen| Some(seen.newest()), |end| Some(end.newest()));
        let families = families(self.totals.series().chain(gauges));
        let overflow = self.totals.overflow + self.calls.overflow;
        let snapshot = self.snapshot_of(families, overflow, self.totals.late, self.totals.future);
        Snapshot { calls: self.calls.series(), ..snapshot }
    }

    fn snapshot_of(&self, families: Vec<Family>, overflow_observations: u64, late: u64, future: u64) -> Snapshot {
        let AggregatorRules { namespace, dimensions, .. } = &self.rules;
        Snapshot {
            namespace: namespace.clone(),
            dimensions: dimensions.clone(),
            families,
            calls: Vec::new(),
            overflow_observations,
            late,
            future,
        }
    }

    /// The gauges as they stand at `now`, of all that was seen or of what the windows that have been handed out have seen.
    fn gauge_series(
        &self,
        now: u64,
        told: Choose<(u64, i64)>,
        succeeded: Choose<u64>,
    ) -> impl Iterator<Item = (Metric, Series)> + '_ {
        let gauge = |dims: &Arc<Dims>, attributes, since, value| Series {
            dims: dims.clone(),
            attributes,
            subject: None,
            start_unix_nano: since,
            value: SeriesValue::Gauge(value),
            exemplars: Vec::new(),
        };
        let seen = self.gauges.iter().filter_map(move |(key, seen)| {
            let (_, value) = told(&seen.latest)?;
            let overflow = key.is_overflow();
            let attributes = seen.gauge.attributes(overflow);
            let subject = (!overflow).then(|| key.subject.clone());
            Some((key.metric, Series { subject, ..gauge(&seen.gauge.dims, attributes, seen.since, value as f64) }))
        });
        let ages = self.successes.values().filter_map(move |success| {
            let age = now.saturating_sub(succeeded(&success.latest)?) as f64 / 1e9;
            Some((Metric::LastSuccessAge, gauge(&success.dims, success.attributes, success.since, age)))
        });
        let health = self.chains.values().map(move |chain| {
            let health = f64::from(chain.tracker.health() as u8);
            (Metric::ChainHealth, gauge(&chain.dims, chain.attributes, chain.since, health))
        });
        seen.chain(ages).chain(health)
    }

    /// The health of each chain, in the order of chains and dimensions.
    pub(in crate::red) fn health(&self) -> Vec<ChainState> {
        let mut states: Vec<_> = self
            .chains
            .values()
            .map(|chain| ChainState {
                dims: chain.dims.clone(),
                chain: chain.attributes.chain,
                health: chain.tracker.health(),
                why: chain.tracker.cause(),
            })
            .collect();
        states.sort_unstable_by(|a, b| (a.chain, &a.dims.0).cmp(&(b.chain, &b.dims.0)));
        states
    }
}
