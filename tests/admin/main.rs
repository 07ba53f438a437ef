//! Health, status and the other pages for people and machines.

mod http;
mod store;
