//! A real process, from its door to its destination.

mod bad_input;
mod chain;
mod counting;
mod drain;
mod outage;
mod unanswered;
