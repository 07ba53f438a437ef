//! A process that is killed while it puts: every put that was answered is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chainspan::store::RecordId;

use crate::support::*;

const ROUNDS: u64 = 8;

/// Kills after a different time in each round, always on the same directory: recovery is killed as well.
#[test]
fn every_answered_put_survives_a_kill() {
    let directory = tempfile::tempdir().expect("directory");
    let mut answered: Vec<(RecordId, u64)> = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["kill::puts_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
            .env("CHAINSPAN_TEST_STORE", directory.path())
            .env("CHAINSPAN_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start this program again");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let reading = std::thread::spawn(move || {
            let lines = lines.map_while(Result::ok);
            lines.filter_map(|line| Some(line.strip_prefix("kept ")?.to_owned())).collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(150 + 73 * round));
        child.kill().expect("kill -9");
        child.wait().expect("it ends");
        for line in reading.join().expect("no panic") {
            // The last line may be half of one.
            let Some((id, seed)) = line.strip_suffix('.').and_then(|line| line.split_once(' ')) else { continue };
            answered.push((RecordId(id.parse().expect("an id")), seed.parse().expect("a seed")));
        }
    }
    assert!(!answered.is_empty(), "nothing was ever put");
    let store = open(directory.path());
    assert!(store.status().set_aside.is_empty(), "a kill is no damage");
    let (waiting, damaged) = read_all(&store, DATADOG);
    assert_eq!(damaged.records, 0);
    let there: std::collections::BTreeMap<_, _> =
        waiting.into_iter().map(|waiting| (waiting.id, waiting.body)).collect();
    for (id, seed) in &answered {
        assert_eq!(there.get(id), Some(&body(*seed, 30_000)), "record {} was answered", id.0);
    }
    println!("{} answered, {} there", answered.len(), there.len());
}

/// The other half of `every_answered_put_survives_a_kill`.
#[test]
#[ignore = "started by another test, in a process of its own"]
fn puts_until_it_is_killed() {
    let Ok(directory) = std::env::var("CHAINSPAN_TEST_STORE") else { return };
    let round: u64 = std::env::var("CHAINSPAN_TEST_ROUND").expect("a round").parse().expect("a number");
    let store = open(Path::new(&directory));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0.. {
                    let seed = round * 1_000_000 + thread * 100_000 + number;
                    let id = put_one(store, record(seed, 30_000));
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "\nkept {} {seed}.", id.0).and_then(|()| out.flush()).expect("somebody reads");
                }
            });
        }
    });
}
