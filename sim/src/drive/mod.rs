//! Sends the requests of a fleet of gateways, and records how they were answered.
//!
//! A [`Fleet`] encodes, [`drive`] sends through a [`Client`] at the pace of a [`LoadPlan`], [`Progress`] adds up. What goes
//! wrong on the way is a [`FaultPlan`]; faults of connections need a [`Relay`] in between.

mod client;
mod fault_plan;
mod fleet;
mod progress;
mod relay;
mod run;

pub use client::{Client, ExportResult, RetryLimits, TargetError};
pub use fault_plan::FaultPlan;
pub use fleet::{AckSender, EncodedBatch, Fleet};
pub use progress::{LoadReport, Progress};
pub use relay::Relay;
pub use run::{LoadPlan, drive, drive_with_faults};
