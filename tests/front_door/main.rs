//! A real process, from its door to its destination.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod chain;
mod counting;
mod drain;
mod outage;
mod unanswered;
