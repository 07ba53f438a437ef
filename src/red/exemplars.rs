//! The slowest spans of a series, so that a quantile leads to a trace.

use super::duration_histogram::DurationHistogram;
use super::snapshot::Exemplar;
use super::stage::Observation;

/// Exemplars that one series may keep per window.
pub(super) const MAX_EXEMPLARS: usize = 4;

/// A few exemplars, unordered. Nearly every observation is turned away by one comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Exemplars {
    /// Durations below this are not among the slowest.
    least: u64,
    kept: Vec<Exemplar>,
}

impl Exemplars {
    /// Keeps the observation's span under `duration_nano` if it is among the `most` slowest so far. Spans without a valid
    /// trace and span id lead nowhere, and are passed over.
    #[inline]
    pub(super) fn offer(&mut self, duration_nano: u64, observation: &Observation, most: usize) {
        if duration_nano >= self.least {
            self.take(duration_nano, observation, most);
        }
    }

    #[cold]
    fn take(&mut self, duration_nano: u64, observation: &Observation, most: usize) {
        let Observation { trace_id, span_id, end_unix_nano, .. } = *observation;
        if most > 0 && (trace_id == [0; 16] || span_id == [0; 8]) {
            return;
        }
        self.insert(Exemplar { duration_nano, end_unix_nano, trace_id, span_id }, most);
    }

    fn insert(&mut self, exemplar: Exemplar, most: usize) {
        let most = most.min(MAX_EXEMPLARS);
        if self.kept.len() < most {
            if self.kept.is_empty() {
                self.kept.reserve_exact(most);
            }
            self.kept.push(exemplar);
        } else if let Some(fastest) = self.kept.iter_mut().min_by_key(|kept| kept.duration_nano)
            && fastest.duration_nano < exemplar.duration_nano
        {
            *fastest = exemplar;
        }
        if self.kept.len() >= most {
            let fastest = self.kept.iter().map(|kept| kept.duration_nano).min();
            self.least = fastest.map_or(u64::MAX, |fastest| fastest.saturating_add(1));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other
            .kept
            .iter()
            .filter(|exemplar| exemplar.duration_nano >= self.least)
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|exemplar| self.insert(exemplar, MAX_EXEMPLARS));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// All of them, the slowest first.
    pub(super) fn sorted(&self) -> Vec<Exemplar> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable_by_key(|kept| (std::cmp::Reverse(kept.duration_nano), kept.trace_id, kept.span_id));
        sorted
    }
}

/// Durations and their exemplars.
#[derive(Clone, Debug, Default)]
pub(super) struct Timed {
    pub(super) histogram: DurationHistogram,
    pub(super) exemplars: Exemplars,
}

impl Timed {
    #[inline]
    pub(super) fn add(&mut self, duration_nano: u64, observation: &Observation, exemplars: usize) {
        self.histogram.add(duration_nano);
        self.exemplars.offer(duration_nano, observation, exemplars);
    }
}
