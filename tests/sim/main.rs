//! Simulated gateways whose truth is known, beside what chainspan says.

#[path = "../common/mod.rs"]
mod common;

mod agent;
mod chains;
mod compare;
mod faults;
mod generator;
mod support;
mod truth;
mod windows;
