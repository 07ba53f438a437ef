//! A text into a configuration, or into all of its mistakes.

use super::assemble::assemble;
use super::definitions::Definitions;
use super::effective::Config;
use super::error::{ConfigErrors, Mark};
use super::reader::{Reader, Section};
use super::yaml;

/// Checks the configuration in `text`; `file_name` is what errors call it, `env` answers for `${env:NAME}`.
///
/// # Errors
/// Every mistake of the file, in the order of its lines. After a syntax error or a key that is named twice the meaning of
/// the rest is in doubt, so those are reported alone.
pub fn parse(text: &str, file_name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let tree = yaml::parse(text).map_err(|problems| ConfigErrors::new(file_name, problems))?;
    let reader = Reader::new(env);
    let config = {
        let root = Section::open(&reader, "", Mark::START, tree.as_ref());
        let definitions = Definitions::read(&reader, &root);
        let config = assemble(&reader, &root, definitions);
        root.finish();
        config
    };
    let problems = reader.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(ConfigErrors::new(file_name, problems)) }
}
