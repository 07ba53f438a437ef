//! The program on the command line.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod dlq_offline;
mod dlq_running;
mod dlq_support;
mod run;
