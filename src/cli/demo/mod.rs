//! `chainspan demo`: simulated gateways, a real chainspan, a stand-in for the agent, and the truth beside the
//! measurement.

mod command;
mod config;
mod live;
mod screen;
mod temp_dir;
mod totals;
mod verdict;

pub use command::{DemoArgs, demo};
pub use config::{DEMO_CHAINS, config};
