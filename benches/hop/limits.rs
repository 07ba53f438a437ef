//! Open files: each connection of the load takes one here and one in the process under test, which inherits the limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for 2,000 connections and everything else.
const OPEN_FILES: u64 = 8_192;
/// What a process has open besides connections.
const BESIDES: u64 = 256;

/// Raises the soft limit of open files to what 2,000 connections take, as far as the hard one allows.
pub(crate) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // None is no limit.
    let wanted = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        eprintln!("the limit of open files stays at {}: {error}", current.unwrap_or_default());
    }
}

/// What stands in the way of `connections` connections, if anything does.
pub(crate) fn too_few_for(connections: usize) -> Option<String> {
    let current = getrlimit(Resource::Nofile).current?;
    let needed = connections as u64 + BESIDES;
    (current < needed).then(|| format!("{needed} open files are needed, {current} allowed (ulimit -Hn)"))
}
