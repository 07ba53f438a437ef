//! `collector-config.yaml` as types: the Collector's sections and keys, defaults, `${env:NAME:-default}`, and errors
//! that name file, line, key and the fix.
//!
//! A key is declared once, in `keys`, as a field of the struct that the rest of the program reads:
//!
//! ```text
//! /// How long one attempt may take.
//! pub timeout: Duration = "timeout", Time(MOMENT), Duration::from_secs(10);
//! ```
//!
//! From that line follow reading, range and default, `check --print`, `check --schema` and `docs/configuration.md`. The
//! macro behind it and what a form is are in `form`; the forms that there are, in `forms`.
//!
//! The way of a file: [`Source`] finds it, `yaml` makes a tree with positions, `reader` walks the tree and collects every
//! mistake, `definitions` reads the components, `pipelines` holds the pipelines against them and `assemble` puts the
//! result together. What comes out is a [`Config`]: complete, in range, and nothing in it that this version would ignore.
//!
//! Values of the environment and of headers never appear in an error, in [`print()`] or in `Debug`.

mod assemble;
mod component;
mod contents;
mod definitions;
mod effective;
mod endpoint;
mod env;
mod error;
mod form;
mod forms;
mod keys;
mod limits;
mod output;
mod parse;
mod pipelines;
mod print;
mod reader;
#[cfg(test)]
mod reference;
mod scalar;
mod schema;
mod secret;
mod source;
mod units;
mod yaml;

pub use effective::{Config, Flow};
pub use error::{ConfigErrors, Problem};
pub use keys::{
    Breaker, Chain, ChainInfo, Compression, Destination, FileStorage, Gateway, Grpc, Health, HealthCheck, Inherit,
    LogEncoding, LogLevel, Logs, Prometheus, Protocols, Receiver, Retry, Role, Signals, Telemetry, Temporality, Tls,
};
pub use parse::parse;
pub use print::print;
pub use schema::schema;
pub use secret::Secret;
pub use source::{Source, load};
pub use units::{format_duration, format_size};
