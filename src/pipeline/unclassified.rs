//! Which spans are no operation: by name, so that a gap in the instrumentation can be seen, and mended, by its name.
//!
//! Names come from outside, so only the first [`NAMES`] distinct ones are kept; all others share one place.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;

/// How many distinct names are kept apart.
pub(super) const NAMES: usize = 64;

/// The longest part of a name that is kept, in bytes.
const NAME_BYTES: usize = 100;

/// How often the log may say it.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The place of all names that came too late.
pub(super) const OTHERS: u8 = NAMES as u8;

/// The names seen so far and how often each was accepted since the last log line.
#[derive(Debug)]
pub(super) struct Unclassified {
    places: DashMap<Box<[u8]>, u8>,
    next_place: AtomicU8,
    counts: Box<[AtomicU64]>,
    next_log: Mutex<Instant>,
}

impl Unclassified {
    pub(super) fn new() -> Self {
        Self {
            places: DashMap::new(),
            next_place: AtomicU8::new(0),
            counts: (0..=NAMES).map(|_| AtomicU64::new(0)).collect(),
            next_log: Mutex::new(Instant::now()),
        }
    }

    /// The place of `name`: a new one while there is room. Takes a lock; callers remember the answer.
    pub(super) fn place(&self, name: &[u8]) -> u8 {
        let name = &name[..name.len().min(NAME_BYTES)];
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if self.next_place.load(Ordering::Relaxed) >= OTHERS {
            return OTHERS;
        }
        *self.places.entry(name.into()).or_insert_with(|| {
            let free = |place: u8| (place < OTHERS).then_some(place + 1);
            self.next_place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).unwrap_or(OTHERS)
        })
    }

    /// Counts what an accepted request held: `(place, spans)`.
    pub(super) fn add(&self, place: u8, spans: u32) {
        self.counts[usize::from(place)].fetch_add(u64::from(spans), Ordering::Relaxed);
    }

    /// Tells the log, at most once a minute, which names were met since the last time. Never waits.
    pub(super) fn log(&self, now: Instant) {
        let Ok(mut next) = self.next_log.try_lock() else { return };
        if now < *next {
            return;
        }
        *next = now + LOG_INTERVAL;
        drop(next);
        let mut met: Vec<(u64, String)> = self
            .places
            .iter()
            .filter_map(|entry| {
                let spans = self.counts[usize::from(*entry.value())].swap(0, Ordering::Relaxed);
                (spans > 0).then(|| (spans, String::from_utf8_lossy(entry.key()).into_owned()))
            })
            .collect();
        let others = self.counts[usize::from(OTHERS)].swap(0, Ordering::Relaxed);
        if met.is_empty() && others == 0 {
            return;
        }
        met.sort_unstable_by(|a, b| b.cmp(a));
        let total: u64 = met.iter().map(|(spans, _)| spans).sum::<u64>() + others;
        let mut names: Vec<String> = met.iter().take(8).map(|(spans, name)| format!("{name:?} {spans}")).collect();
        let more = total - met.iter().take(8).map(|(spans, _)| spans).sum::<u64>();
        if more > 0 {
            names.push(format!("other names {more}"));
        }
        tracing::info!(
            spans = total,
            names = names.join(", "),
            "spans that are no gateway operation: forwarded, not measured. If one is an operation, set its attribute \
             avs.operation or list its name under connectors.gateway.operations (docs/span-convention.md)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_keep_their_own_place_and_later_ones_share_one() {
        let names = Unclassified::new();
        let first = names.place(b"verify_signature");
        assert_eq!(names.place(b"verify_signature"), first);
        for i in 0..200 {
            names.place(format!("invented {i}").as_bytes());
        }
        assert_eq!(names.place(b"one more"), OTHERS);
        assert_eq!(names.place(b"verify_signature"), first);
        assert!(names.places.len() <= NAMES);
    }
}
