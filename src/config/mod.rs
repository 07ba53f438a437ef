//! `collector-config.yaml` as types: the Collector's sections and keys, defaults, `${env:NAME:-default}`, and errors
//! that name file, line, key and the fix.

mod types;

pub use types::{
    Chain, ChainInfo, Compression, Config, Destination, Gateway, LogEncoding, LogLevel, Logs, Receiver, Retry, Role,
    Secret, Signals,
};
