//! Which chain each trace of one request belongs to: the first place where a span without a chain looks.

use std::collections::hash_map::Entry;
use std::fmt;

use hashbrown::DefaultHashBuilder;

use super::set::{AMBIGUOUS, UNKNOWN};
use super::{ChainId, Lookup, Traces};

/// Traces whose memory is kept for the next request; more is freed, so that one huge request does not hold it.
const KEPT_TRACES: usize = 16 * 1024;

/// The traces of one request, reused from request to request. It holds at most one entry per span that was noted.
#[derive(Default)]
pub struct RequestTraces {
    states: std::collections::HashMap<u128, u64, DefaultHashBuilder>,
    /// The spans of a trace mostly come one after the other: the last one's trace, and its state.
    last: Option<(u128, u64)>,
}

impl RequestTraces {
    /// Forgets the request, keeps the memory.
    pub fn clear(&mut self) {
        self.states.clear();
        self.states.shrink_to(KEPT_TRACES);
        self.last = None;
    }

    /// Notes that a span of the trace `id` (see [`super::valid_trace_id`]) has `chain` from its own attributes, its
    /// scope's or its resource's.
    #[inline]
    pub fn note(&mut self, id: &[u8; 16], chain: ChainId) {
        let id = u128::from_be_bytes(*id);
        // What is ambiguous stays so.
        if self.last.is_none_or(|(last, state)| last != id || (state != chain.get() && state != AMBIGUOUS)) {
            self.last = Some((id, self.insert(id, chain)));
        }
    }

    /// The state of the trace from now on.
    fn insert(&mut self, id: u128, chain: ChainId) -> u64 {
        match self.states.entry(id) {
            Entry::Vacant(entry) => *entry.insert(chain.get()),
            Entry::Occupied(entry) => {
                let state = entry.into_mut();
                if *state != chain.get() {
                    *state = AMBIGUOUS;
                }
                *state
            }
        }
    }

    /// How many traces were noted.
    #[inline]
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// What the request's spans of the trace `id` have shown.
    pub fn get(&self, id: &[u8; 16]) -> Lookup {
        Lookup::from_state(self.states.get(&u128::from_be_bytes(*id)).copied().unwrap_or(UNKNOWN))
    }

    /// Records at `now` (milliseconds) what the request has shown in `traces`, and takes over what is known from there: a
    /// trace that showed another chain in an earlier request is ambiguous from here on. The answer is how many traces
    /// became ambiguous. Called once, after every span of the request was noted.
    pub fn settle(&mut self, traces: &Traces, now: u64) -> u32 {
        let mut became_ambiguous = 0;
        for (id, state) in &mut self.states {
            let recorded = traces.record(&id.to_be_bytes(), Lookup::from_state(*state), now);
            *state = recorded.now.state();
            became_ambiguous += u32::from(recorded.became_ambiguous);
        }
        self.last = None;
        became_ambiguous
    }
}

impl fmt::Debug for RequestTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTraces").field("traces", &self.states.len()).finish()
    }
}
