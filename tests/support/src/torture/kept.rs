//! What chainspan keeps: looked at from outside through `chainspan dlq`, and, once the process has ended, in the store
//! itself, where the ids of the spans are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use chainspan::otlp::Signal;
use chainspan::store::{Filter, Letter, RecordId, Store, StoreSettings, Wanted};
use serde_json::Value;

use super::numbers;

/// Everything in a store.
#[derive(Debug, Default)]
pub struct Contents {
    /// The dead letters, with the numbers of their spans.
    pub letters: Vec<(Letter, Vec<u64>)>,
    /// The numbers of the spans that wait to be sent.
    pub waiting: Vec<u64>,
    /// Dead spans that an operator purged.
    pub discarded: u64,
    /// Damaged files that were set aside.
    pub set_aside: usize,
}

impl Contents {
    /// The numbers of all dead spans.
    pub fn dead(&self) -> Vec<u64> {
        self.letters.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect()
    }

    /// Letters per reason.
    pub fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut reasons = BTreeMap::new();
        for (letter, _) in &self.letters {
            *reasons.entry(letter.death.reason.name()).or_default() += 1;
        }
        reasons
    }
}

/// Reads the store in `directory`, whose process must have ended. Waits for the lock, for a killed process may be gone a
/// moment before its locks are.
pub fn contents(directory: &Path, destination: &str) -> anyhow::Result<Contents> {
    let settings = StoreSettings { directory: directory.to_owned(), max_bytes: 1 << 40, min_free_bytes: 0 };
    let store = Store::open(settings).context("the store cannot be opened")?;
    let read = read(&store, destination);
    store.close();
    read
}

fn read(store: &Store, destination: &str) -> anyhow::Result<Contents> {
    let mut contents = Contents { set_aside: store.status().set_aside.len(), ..Contents::default() };
    let mut after = None;
    loop {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (destination, signal) = (destination.into(), Signal::Traces);
        let wanted = Wanted { destination, signal, after, until: None, max_bytes: 4 << 20 };
        store.read(wanted, move |answer| _ = sender.send(answer));
        let portion = receiver.recv().context("the store did not answer")??;
        let Some(last) = portion.waiting.last() else { break };
        after = Some(last.id);
        for record in &portion.waiting {
            contents.waiting.extend(numbers::read(&record.body)?.ours);
        }
    }
    for letter in store.letters(&Filter::default())? {
        let RecordId(number) = letter.id;
        let (_, body) = store.letter(letter.id)?.with_context(|| format!("letter {number} is listed and gone"))?;
        // A corrupt record may say anything.
        let numbers = numbers::read(&body).unwrap_or_default().ours;
        contents.letters.push((letter, numbers));
    }
    let kept = store.kept()?.into_iter().filter(|(name, _)| name == destination);
    contents.discarded = kept.map(|(_, kept)| kept.discarded.spans).sum();
    Ok(contents)
}

/// `chainspan dlq list --json`, on the running process or on the directory.
pub fn dlq_list(program: &Path, config: &Path) -> anyhow::Result<Vec<Value>> {
    let output = Command::new(program)
        .args(["dlq", "list", "--json", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "dlq list ended with {}:\n{said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("dlq list printed no JSON array:\n{said}"))
}
