//! Which chainspan is tortured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The one that was asked for, or the one beside this program, which is brought up to date first: cargo builds the program
/// only for tests, not for examples.
pub(crate) fn find(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(asked) = asked {
        ensure!(asked.is_file(), "{}: there is no such file", asked.display());
        return Ok(asked.to_owned());
    }
    let own = std::env::current_exe().context("cannot find this program")?;
    // target/PROFILE/examples/torture
    let profile = own.parent().and_then(Path::parent).context("this program is not in a target directory")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let release = profile.file_name().is_some_and(|name| name == "release");
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--bin", "chainspan"]).args(release.then_some("--release"));
        ensure!(build.status()?.success(), "chainspan does not build");
    }
    let program = profile.join("chainspan");
    ensure!(program.is_file(), "{} is missing; build it, or say --binary FILE", program.display());
    Ok(program)
}
