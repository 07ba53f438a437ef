//! What chainspan says of itself: logs, and counters through the `metrics` facade.
