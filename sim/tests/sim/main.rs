//! The simulator tested by itself, without a chainspan: what it makes, and that its checks find whatever is wrong.
#![allow(clippy::unwrap_used)]

mod agent;
mod compare;
mod exports;
mod generator;
mod windows;
