//! One destination and its store, against a server that misbehaves by script.

#[path = "../common/mod.rs"]
mod common;

mod breaker;
mod chaos;
mod faults;
mod poison;
mod signals;
mod store;
mod support;
