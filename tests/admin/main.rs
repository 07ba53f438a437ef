//! Health, status and the other pages for people and machines.

#[path = "../common/mod.rs"]
mod common;

mod http;
mod store;
