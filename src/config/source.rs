//! Which file is the configuration, and reading it.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use super::effective::Config;
use super::error::{ConfigErrors, Problem};
use super::parse::parse;

/// The name that is looked for.
const NAME: &str = "collector-config.yaml";
/// Where packages install it.
const SYSTEM: &str = "/etc/chainspan/collector-config.yaml";
/// The text that stands at the top of the repository.
pub(super) const SHIPPED: &str = include_str!("../../collector-config.yaml");
/// No configuration is larger; a file that is, is something else.
const MAX_BYTES: u64 = 1 << 20;

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The shipped file, as it was when chainspan was built.
    Shipped,
}

impl Source {
    /// The file that was `named`; else `collector-config.yaml` in the working directory; else
    /// `/etc/chainspan/collector-config.yaml`; else what was shipped. A file that exists but cannot be read is chosen all
    /// the same: passing it over would run something that nobody asked for.
    pub fn find(named: Option<&Path>) -> Self {
        let present = |path: &&Path| !matches!(path.try_exists(), Ok(false));
        match named.or_else(|| [Path::new(NAME), Path::new(SYSTEM)].into_iter().find(present)) {
            Some(path) => Self::File(path.to_owned()),
            None => Self::Shipped,
        }
    }

    /// Reads and checks it, with the variables of the process.
    ///
    /// # Errors
    /// Every mistake of the file.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        match self {
            Self::File(path) => load(path),
            Self::Shipped => parse(SHIPPED, &self.to_string(), &variable),
        }
    }
}

impl Config {
    /// The shipped file: every default, and the pipelines that it names.
    pub fn shipped() -> Self {
        let parsed = parse(SHIPPED, NAME, &|_| None);
        parsed.expect("the shipped file is valid: its tests read it")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Shipped => write!(f, "{NAME} (as shipped)"),
        }
    }
}

/// Reads and checks the file at `path`, with the variables of the process.
///
/// # Errors
/// That it cannot be read, or every mistake that it holds.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let text = read(path).map_err(|why| ConfigErrors::new(name.as_str(), vec![Problem::of_file(why)]))?;
    parse(&text, &name, &variable)
}

fn read(path: &Path) -> Result<String, String> {
    let about = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if about.is_dir() {
        return Err("is a directory; name the file in it".to_owned());
    }
    if about.len() > MAX_BYTES {
        return Err("is larger than 1 MiB, so it is no configuration".to_owned());
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text, first on line {line}")
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
