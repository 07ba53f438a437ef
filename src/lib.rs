//! chainspan sits between blockchain gateways and the Datadog agent: it receives OTLP, tags every span with its
//! `chain_id`, measures every chain, and forwards the bytes it received.
//!
//! The folders follow the way of the data. Imports point one way, from the bottom of this list to the top:
//!
//! | module | what it is |
//! |---|---|
//! | `clock` | the wall clock |
//! | `lock` | takes a lock that a panic has poisoned |
//! | `sync` | the atomics and locks that a model checker can stand in for |
//! | `net` | listening sockets: the accept loop, and an HTTP/1 server for what is only read |
//! | [`otlp`] | bytes only: the wire walk, the values it meets, the edit, join and split |
//! | [`chain`] | chain ids: parsing, resolution order, inheritance along a trace |
//! | [`gateway`] | the domain as closed enums: operation, outcome, reasons, classification |
//! | [`red`] | series, histograms, what is counted and when |
//! | [`telemetry`] | logs, and our own counters through the `metrics` facade |
//! | [`config`] | `collector-config.yaml` as types |
//! | [`store`] | what must survive the process: spilled requests and dead letters in one SQLite file |
//! | [`delivery`] | one destination each: coalescing, sending, retry, breaker, spilling, dead letters |
//! | [`pipeline`] | the one place where a request is walked, tagged, handed over, made safe and committed |
//! | [`admin`] | health, status and dead letters |
//! | [`receiver`] | OTLP over gRPC |
//! | [`export`] | metrics out: Prometheus, OTLP |
//! | [`service`] | starts all of it, and stops it in the order in which nothing is lost |
//! | [`cli`] | the commands |
//!
//! `demo` and `load`, like the tests and benches, use simulated gateways whose ground truth is known: they are a crate of their
//! own, `chainspan_sim`, which cannot import anything of this one.

pub mod admin;
pub mod chain;
pub mod cli;
mod clock;
pub mod config;
pub mod delivery;
pub mod export;
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
mod lock;
mod net;
pub mod otlp;
pub mod pipeline;
pub mod receiver;
pub mod red;
pub mod service;
pub mod store;
mod sync;
pub mod telemetry;
