//! What a destination's behaviour means: when it is tried again, how much is sent to it at once, whose fault a failure is.
//! Tables and arithmetic that are told the time; nothing in here waits, sends, or holds data.

mod backoff;
mod breaker;
mod failure;
mod refusals;
mod request_limit;
mod rules;
mod signal_breakers;

pub(crate) use backoff::{Backoff, BackoffError};
pub(crate) use breaker::Event;
pub(crate) use failure::{Failure, Judgement, LONGEST_RETRY_INFO, code_name};
pub(crate) use request_limit::RequestLimit;
pub(crate) use rules::{Pause, Policy};
