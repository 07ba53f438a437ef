//! Simulated gateways whose ground truth is known to the last span.
