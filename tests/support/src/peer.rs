//! Programs of other people that chainspan is tested against: finding them, running them, and waiting for them.
//!
//! A peer is looked for in `$CHAINSPAN_PEERS_DIR` (`target/peers` when unset: the folder itself, `bin/` and `venv/bin/` in
//! it) and then on `PATH`. A test whose peer is missing says so loudly and passes, unless `CHAINSPAN_PEERS=require`; then
//! only those that `CHAINSPAN_PEERS_WITHOUT` names (by commas) may be missing.
//! `tests/peers/README.md` says how to install them.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything here may take before the test gives up. Generous: Python starts slowly on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `program` is; `None`, after a loud line, when it is not here. Panics instead under `CHAINSPAN_PEERS=require`.
pub fn find(program: &str) -> Option<PathBuf> {
    let default = repository().join("target/peers");
    let directory = std::env::var_os("CHAINSPAN_PEERS_DIR").map_or(default, PathBuf::from);
    let near = [directory.clone(), directory.join("bin"), directory.join("venv/bin")];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = near.into_iter().chain(std::env::split_paths(&path)).map(|d| d.join(program)).find(|p| p.is_file());
    if found.is_none() {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let excused = variable("CHAINSPAN_PEERS_WITHOUT").split(',').any(|name| name == program);
        let required = variable("CHAINSPAN_PEERS") == "require" && !excused;
        assert!(!required, "{program} is required (CHAINSPAN_PEERS=require) and not here; see tests/peers/README.md");
        eprintln!("\n*** SKIPPED: {program} is not installed; tests/peers/README.md says how to get it ***\n");
    }
    found
}

/// The Python that has `ddapm-test-agent` and the OpenTelemetry SDK: the one beside the agent.
pub fn python(agent: &Path) -> PathBuf {
    agent.with_file_name("python")
}

/// The directory of the whole repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A file of `tests/peers/`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/peers").join(name)
}

/// A directory for a peer to run in.
pub fn directory() -> TempDir {
    TempDir::with_prefix("chainspan-peer-").expect("a temporary directory")
}

/// Waits until `condition` holds something. Panics with `what` when it never does.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{PATIENCE:?} have passed and still not: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A running peer. It is killed when this is dropped.
pub struct Peer {
    name: String,
    child: Child,
    log: PathBuf,
    _directory: TempDir,
}

impl Peer {
    /// Starts `command` in `directory`, with all that it prints in a file there, and waits until every one of `addresses`
    /// accepts connections.
    pub fn start(name: &str, directory: TempDir, mut command: Command, addresses: &[SocketAddr]) -> Self {
        let log = directory.path().join("log");
        let out = File::create(&log).expect("a file in a new directory");
        let err = out.try_clone().expect("a second handle");
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name}: cannot start: {e}"));
        let mut this = Self { name: name.to_owned(), child, log, _directory: directory };
        for address in addresses {
            eventually(&format!("{name} listens on {address}"), || {
                if let Ok(Some(status)) = this.child.try_wait() {
                    panic!("{name} ended with {status}:\n{}", this.log());
                }
                TcpStream::connect_timeout(address, Duration::from_secs(1)).ok()
            });
        }
        this
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "{}: cannot be asked to end", self.name);
        eventually(&format!("{} ends", self.name), || self.child.try_wait().ok().flatten())
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
    }
}

/// Runs `command` to its end and returns what it printed on standard output. Panics unless it exits with 0.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}\n{err}", output.status);
    out.into_owned()
}
