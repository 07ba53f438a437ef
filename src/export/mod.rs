//! Metrics out.
