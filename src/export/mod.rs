//! Metrics out. Reads snapshots, never touches what the hot path holds.

pub mod otlp;
pub mod prometheus;
