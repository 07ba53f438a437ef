//! Which chain a trace belongs to, remembered from request to request and shared by all workers.
//!
//! A fixed table of sets of eight traces; a trace's id says which set it may stand in. Memory is taken once, when the
//! first trace is recorded, and never grows: about 33 bytes per trace. In a full set the trace that was seen longest ago
//! makes room. See `set` for how workers share a set.

use std::sync::OnceLock;
use std::time::Duration;

use super::ChainId;
use super::set::{AMBIGUOUS, Id, Set, UNKNOWN, is_fresh};

/// Traces in one set of the table.
const WAYS: usize = 8;

/// What a trace has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing, as far as is remembered.
    Unknown,
    /// One chain: it is passed on to spans without one.
    Chain(ChainId),
    /// Two chains or more: nothing is passed on.
    Ambiguous,
}

impl Lookup {
    /// What two places know of the same trace, taken together: two different chains are ambiguous.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Chain(one), Self::Chain(two)) if one == two => self,
            _ => Self::Ambiguous,
        }
    }

    pub(super) fn from_state(state: u64) -> Self {
        match state {
            UNKNOWN => Self::Unknown,
            AMBIGUOUS => Self::Ambiguous,
            raw => ChainId::new(raw).map_or(Self::Unknown, Self::Chain),
        }
    }

    pub(super) fn state(self) -> u64 {
        match self {
            Self::Unknown => UNKNOWN,
            Self::Chain(chain) => chain.get(),
            Self::Ambiguous => AMBIGUOUS,
        }
    }
}

/// What [`Traces::record`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What the trace has shown, this time included.
    pub now: Lookup,
    /// It is ambiguous now and was not before: to be counted once.
    pub became_ambiguous: bool,
}

/// `id` as a trace id by which spans can inherit a chain: 16 bytes, not all zero.
#[inline]
pub fn valid_trace_id(id: &[u8]) -> Option<[u8; 16]> {
    let id: [u8; 16] = id.try_into().ok()?;
    (id != [0; 16]).then_some(id)
}

/// The bounded memory of trace id → chain.
///
/// Times are milliseconds of any clock that does not go backwards; all callers use the same one. A trace is forgotten
/// `ttl` after it last showed a chain (to within an eighth of the `ttl`, one second at most: a trace that is seen all
/// the time is not written all the time).
#[derive(Debug)]
pub struct Traces {
    sets: OnceLock<Box<[Set<WAYS>]>>,
    count: usize,
    ttl: u64,
    refresh: u64,
}

impl Traces {
    /// Room for `capacity` traces (rounded up to a multiple of 8; 0 remembers nothing), each for `ttl`.
    pub fn new(capacity: usize, ttl: Duration) -> Self {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Self { sets: OnceLock::new(), count: capacity.div_ceil(WAYS), ttl, refresh: (ttl / 8).min(1_000) }
    }

    /// What the trace `id` has shown, as of `now` (milliseconds).
    pub fn lookup(&self, id: &[u8; 16], now: u64) -> Lookup {
        let Some(sets) = self.sets.get() else { return Lookup::Unknown };
        let id = split(id);
        match sets[self.index(id)].read(id) {
            Some(entry) if is_fresh(entry.seen, now, self.ttl) => Lookup::from_state(entry.state),
            _ => Lookup::Unknown,
        }
    }

    /// Notes at `now` (milliseconds) what one request has shown of the trace `id`; inherited chains are not shown. Where
    /// nothing can be remembered, the answer is what the request showed.
    pub fn record(&self, id: &[u8; 16], shown: Lookup, now: u64) -> Recorded {
        let unchanged = Recorded { now: shown, became_ambiguous: shown == Lookup::Ambiguous };
        if self.count == 0 || shown == Lookup::Unknown || *id == [0; 16] {
            return unchanged;
        }
        let sets = self.sets.get_or_init(|| (0..self.count).map(|_| Set::new()).collect());
        let id = split(id);
        let set = &sets[self.index(id)];
        let state = shown.state();
        if let Some(entry) = set.read(id)
            && is_fresh(entry.seen, now, self.refresh.min(self.ttl))
            && (entry.state == state || entry.state == AMBIGUOUS)
        {
            return Recorded { now: Lookup::from_state(entry.state), became_ambiguous: false };
        }
        match set.write(id, state, now, self.ttl) {
            None => unchanged,
            Some((before, after)) => {
                Recorded { now: Lookup::from_state(after), became_ambiguous: after == AMBIGUOUS && before != AMBIGUOUS }
            }
        }
    }

    /// The set of `id`. Ids are mixed, because some tracers count in the upper half and others in the lower.
    fn index(&self, id: Id) -> usize {
        let mixed = (id.high.rotate_left(32) ^ id.low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ (mixed >> 32);
        let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        ((u128::from(mixed) * self.count as u128) >> 64) as usize
    }
}

fn split(id: &[u8; 16]) -> Id {
    let whole = u128::from_be_bytes(*id);
    Id { high: (whole >> 64) as u64, low: whole as u64 }
}
