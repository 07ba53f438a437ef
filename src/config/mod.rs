//! `collector-config.yaml` as types: the Collector's sections and keys, defaults, `${env:NAME:-default}`, and errors
//! that name file, line, key and the fix.
//!
//! The way of a file: [`Source`] finds it, `yaml` makes a tree with positions, `reader` and `field` answer typed questions
//! about the tree and collect every mistake, `definitions` asks about the components, `pipelines` holds the pipelines
//! against them and `service` puts the result together. What comes out is a [`Config`]: complete, in range, and nothing in it that this version would ignore.
//!
//! Values of the environment and of headers never appear in an error, in [`print()`] or in `Debug`.

mod component;
mod defaults;
mod definitions;
mod endpoint;
mod env;
mod error;
mod exporter;
mod field;
mod flow;
mod limits;
mod pipelines;
mod print;
mod reader;
mod sections;
mod service;
mod source;
mod storage;
mod types;
mod units;
mod yaml;

pub use error::{ConfigErrors, Problem};
pub use flow::Flow;
pub use print::print;
pub use source::{Source, load};
pub use types::{
    Breaker, Chain, ChainInfo, Compression, Config, Destination, FileStorage, Gateway, Health, LogEncoding, LogLevel,
    Logs, Receiver, Retry, Role, Secret, Signals, Temporality,
};
pub use units::{format_duration, format_size};

/// Checks the configuration in `text`; `file_name` is what errors call it, `env` answers for `${env:NAME}`.
///
/// # Errors
/// Every mistake of the file, in the order of its lines. After a syntax error or a key that is named twice the meaning of
/// the rest is in doubt, so those are reported alone.
pub fn parse(text: &str, file_name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let tree = yaml::parse(text).map_err(|problems| ConfigErrors::new(file_name, problems))?;
    let reader = reader::Reader::new(env);
    let config = {
        let root = reader::Section::open(&reader, "", error::Mark::START, tree.as_ref());
        let definitions = definitions::Definitions::read(&reader, &root);
        let config = service::assemble(&reader, &root, definitions);
        root.finish();
        config
    };
    let problems = reader.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(ConfigErrors::new(file_name, problems)) }
}
