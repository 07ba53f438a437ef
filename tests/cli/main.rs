//! The program on the command line.

mod commands;
mod dlq_offline;
mod dlq_running;
mod dlq_support;
mod run;
