//! Simulated gateways whose truth is known, beside what chainspan says.

mod chains;
mod faults;
mod support;
mod truth;
