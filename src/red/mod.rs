//! Rate, errors, duration: what is counted, in which series, and when.
//!
//! Observations are *staged* while a request is walked, and *committed* when it is answered with success: whoever commits
//! takes a shard that nobody else holds, adds the whole stage to it, and lets go. Nobody waits for anybody. A snapshot
//! takes each shard's sums away in one move, so what it shows never tears.

mod stage;

pub use stage::{Dims, Observation, Stage};
