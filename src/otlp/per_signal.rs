//! One value for each signal, addressed by the signal itself.

use std::ops::{Index, IndexMut};

use super::Signal;

/// One `T` per [`Signal`]. Indexing cannot fail: every signal has its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSignal<T> {
    traces: T,
    metrics: T,
    logs: T,
}

impl<T> PerSignal<T> {
    /// What `value` gives for each signal, asked in the order of [`Signal::ALL`].
    pub fn from_fn(mut value: impl FnMut(Signal) -> T) -> Self {
        Self { traces: value(Signal::Traces), metrics: value(Signal::Metrics), logs: value(Signal::Logs) }
    }

    /// The same, for values that may fail to come about.
    ///
    /// # Errors
    /// The first one; later signals are not asked.
    pub fn try_from_fn<E>(mut value: impl FnMut(Signal) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { traces: value(Signal::Traces)?, metrics: value(Signal::Metrics)?, logs: value(Signal::Logs)? })
    }

    /// The values in the order of [`Signal::ALL`].
    pub fn values(&self) -> impl Iterator<Item = &T> {
        [&self.traces, &self.metrics, &self.logs].into_iter()
    }

    /// The values in the order of [`Signal::ALL`], to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.traces, &mut self.metrics, &mut self.logs].into_iter()
    }

    /// Each signal with its value, in the order of [`Signal::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Signal, &T)> {
        Signal::ALL.into_iter().zip(self.values())
    }
}

impl<T> IntoIterator for PerSignal<T> {
    type Item = (Signal, T);
    type IntoIter = std::iter::Zip<std::array::IntoIter<Signal, 3>, std::array::IntoIter<T, 3>>;

    fn into_iter(self) -> Self::IntoIter {
        Signal::ALL.into_iter().zip([self.traces, self.metrics, self.logs])
    }
}

impl<T> Index<Signal> for PerSignal<T> {
    type Output = T;

    fn index(&self, signal: Signal) -> &T {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}

impl<T> IndexMut<Signal> for PerSignal<T> {
    fn index_mut(&mut self, signal: Signal) -> &mut T {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
            Signal::Logs => &mut self.logs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reading, writing and walking agree on which value belongs to which signal.
    #[test]
    fn every_signal_finds_its_own_value() {
        let mut names = PerSignal::from_fn(Signal::name);
        assert!(Signal::ALL.into_iter().all(|signal| names[signal] == signal.name()));
        assert!(names.iter().all(|(signal, name)| *name == signal.name()));
        names[Signal::Metrics] = "changed";
        assert_eq!(names.values().copied().collect::<Vec<_>>(), ["traces", "changed", "logs"]);
        names.values_mut().for_each(|name| *name = &name[..4]);
        let taken = [(Signal::Traces, "trac"), (Signal::Metrics, "chan"), (Signal::Logs, "logs")];
        assert_eq!(names.into_iter().collect::<Vec<_>>(), taken);
    }
}
