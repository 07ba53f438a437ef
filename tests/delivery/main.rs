//! One destination and its store, against a server that misbehaves by script.

mod breaker;
mod chaos;
mod faults;
mod poison;
mod signals;
mod store;
mod support;
