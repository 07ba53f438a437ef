//! Reads `/status` again and again, of every process that runs, and checks the conservation equation each time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http_get;

const PARTS: [&str; 6] = ["delivered", "rejected", "in_flight", "spilled", "dead", "discarded"];

/// The watcher; it ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What it has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers read.
    pub scrapes: u64,
    /// The last one.
    pub last: Option<Value>,
    /// The most spans that were in the store at once.
    pub most_spilled: u64,
    /// Answers in which the equation did not hold, and processes that did not answer.
    pub violations: Vec<String>,
}

impl Watcher {
    /// Watches whatever process `admin` names.
    pub fn start(admin: watch::Receiver<Option<SocketAddr>>, pause: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(run(admin, seen.clone(), pause));
        Self { seen, task }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut admin: watch::Receiver<Option<SocketAddr>>, seen: Arc<Mutex<Seen>>, pause: Duration) {
    loop {
        let Ok(address) = admin.wait_for(Option::is_some).await.map(|address| *address) else { return };
        let Some(address) = address else { continue };
        let answer = http_get::fetch(address, "/status").await;
        // Whoever is about to end the process takes its address away first.
        let still = *admin.borrow() == Some(address);
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match answer.map_err(anyhow::Error::from).and_then(|text| Ok(serde_json::from_str::<Value>(&text)?)) {
                Ok(status) => seen.take(status),
                Err(error) if still => seen.note(format!("no status: {error:#}")),
                Err(_) => {}
            }
        }
        tokio::time::sleep(pause).await;
    }
}

impl Seen {
    fn take(&mut self, status: Value) {
        self.scrapes += 1;
        self.note_all(broken(&status));
        self.most_spilled = self.most_spilled.max(count(&status, "spilled").unwrap_or(0));
        self.last = Some(status);
    }

    fn note_all(&mut self, violations: Vec<String>) {
        violations.into_iter().for_each(|violation| self.note(violation));
    }

    fn note(&mut self, violation: String) {
        if self.violations.len() < 10 {
            self.violations.push(violation);
        }
    }
}

/// Where the equation does not hold.
pub fn broken(status: &Value) -> Vec<String> {
    let Some(destinations) = status["destinations"].as_object() else {
        return vec![format!("no destinations: {status}")];
    };
    let mut broken = Vec::new();
    for (name, destination) in destinations {
        for unit in ["spans", "requests"] {
            let block = &destination[unit];
            let parts: Option<u64> = PARTS.iter().map(|part| block[part].as_u64()).sum();
            if parts.is_none() || parts != block["accepted"].as_u64() {
                broken.push(format!("{name}: {unit} are not conserved: {block}"));
            }
        }
    }
    broken
}

/// A number of the conservation block of the destination under test, in spans.
pub fn count(status: &Value, key: &str) -> Option<u64> {
    status["destinations"][super::bed::DESTINATION]["spans"][key].as_u64()
}
