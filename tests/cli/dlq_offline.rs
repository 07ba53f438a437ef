//! `chainspan dlq` on a store that no process has: what an operator sees, asks and changes.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::dlq_support::{Room, SECOND, letter, mode, tagged, texts};
use chainspan::store::{DeathReason, NewRecord};
use serde_json::json;

/// Nobody is there.
const NOWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

/// 2009-02-13T23:31:30Z.
const THEN: u64 = 1_234_567_890 * SECOND;

/// Three dead letters of different kinds, and their numbers.
fn three() -> (Room, Vec<i64>) {
    let room = Room::new(NOWHERE.into());
    let other = NewRecord {
        destination: "otlp/old".into(),
        ..letter(vec![tagged("process task", "10")], DeathReason::Expired, THEN + 20 * SECOND)
    };
    let ids = room.bury(vec![
        letter(vec![tagged("submit_tx", "8453"), tagged("process task", "1")], DeathReason::Rejected, THEN),
        letter(vec![tagged("verify", "8453")], DeathReason::TooLarge, THEN + 10 * SECOND),
        other,
    ]);
    (room, ids)
}

/// `list --json` is a documented format: an array, oldest first, of objects with exactly these keys.
#[test]
fn list_is_a_documented_format() {
    let (room, ids) = three();
    let list = room.json(&["list", "--json"]);
    assert_eq!(
        list[0],
        json!({
            "id": ids[0], "destination": "otlp/datadog", "reason": "rejected", "code": "INVALID_ARGUMENT",
            "message": "bad\nspan", "spans": 2, "chains": ["1", "8453"], "operations": ["task", "tx_submission"],
            "attempts": 3, "first": "2009-02-13T23:31:29Z", "last": "2009-02-13T23:31:30Z",
        })
    );
    assert_eq!((&list[1]["id"], &list[1]["operations"]), (&json!(ids[1]), &json!([])));
    assert_eq!((&list[2]["id"], &list[2]["destination"]), (&json!(ids[2]), &json!("otlp/old")));
    assert_eq!(list.as_array().map(Vec::len), Some(3));
}

/// Each filter means what it says, together they must all hold, and an answer without letters says so.
#[test]
fn filters_choose() {
    let (room, ids) = three();
    let all = [ids[0], ids[1], ids[2]];
    for (filters, expected) in [
        (&[][..], &all[..]),
        (&["--chain", "8453"], &all[..2]),
        (&["--chain", "0x2105"], &all[..2]),
        (&["--chain", "7"], &[]),
        (&["--reason", "too_large"], &all[1..2]),
        (&["--destination", "otlp/old"], &all[2..]),
        (&["--since", "2009-02-13T23:31:40Z"], &all[1..]),
        (&["--until", "2009-02-13T23:31:40Z"], &all[..1]),
        (&["--since", "2h"], &[]),
        (&["--until", "2h"], &all),
        (&["--since", "2009-02-13", "--until", "2009-02-14"], &all),
        (&["--limit", "2"], &all[..2]),
        (&["--limit", "0"], &[]),
        (&["--chain", "8453", "--reason", "rejected", "--limit", "5"], &all[..1]),
    ] {
        assert_eq!(room.listed(filters), expected, "{filters:?}");
    }
    assert_eq!(room.say(&["list", "--chain", "7"]), "no dead letters match\n");
    let table = room.say(&["list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert!(lines[0].contains("DESTINATION") && lines[1].contains("bad span"), "{table}");
    assert_eq!(lines[4], "3 dead letters, 4 spans");
}

/// More letters than are read at once are all listed, each once, in order, and a limit across pages is kept.
#[test]
fn long_lists_are_complete() {
    let room = Room::new(NOWHERE.into());
    let ids = room
        .bury((0..1_234).map(|n| letter(vec![tagged("submit_tx", "1")], DeathReason::Rejected, THEN + n)).collect());
    assert_eq!(room.listed(&[]), ids);
    assert_eq!(room.listed(&["--limit", "777"]), ids[..777]);
}

/// `show` tells chain, operation, reason and everything on the span, to people and to scripts; control characters of
/// others do not reach the terminal.
#[test]
fn show_is_readable() {
    let (room, ids) = three();
    let text = room.say(&["show", &ids[0].to_string()]);
    for part in [
        "otlp/datadog, rejected",
        "INVALID_ARGUMENT",
        "bad span",
        "3, first 2009-02-13T23:31:29Z, last 2009-02-13T23:31:30Z",
        "traces, 2 spans",
        "span 1 of 2: submit_tx",
        "span 2 of 2: process task",
        "8453",
        "tx_submission",
        "took 12.0 ms",
        "service.name = gateway",
        "note = a note",
    ] {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
    let shown = room.json(&["show", &ids[0].to_string(), "--json"]);
    assert_eq!(
        (&shown["id"], &shown["reason"], &shown["signal"]),
        (&json!(ids[0]), &json!("rejected"), &json!("traces"))
    );
    let span = &shown["content"]["spans"][0];
    assert_eq!((&span["chain"], &span["operation"]), (&json!("8453"), &json!("tx_submission")));
    assert_eq!((&span["attributes"]["note"], &span["duration_ns"]), (&json!("a note"), &json!(12_000_000)));
    assert_eq!(span["trace_id"].as_str().map(str::len), Some(32));

    let output = room.dlq(&["show", "999"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("there is no dead letter 999"), "{}", texts(&output).1);
}

/// A letter whose body cannot be read is shown with its reason all the same.
#[test]
fn a_damaged_body_is_shown_as_such() {
    let room = Room::new(NOWHERE.into());
    let whole = letter(vec![tagged("submit_tx", "1")], DeathReason::CorruptRecord, THEN);
    let damaged = NewRecord { body: whole.body.slice(..whole.body.len() - 3), ..whole };
    let ids = room.bury(vec![damaged]);
    let text = room.say(&["show", &ids[0].to_string()]);
    assert!(text.contains("corrupt_record") && text.contains("its body is damaged"), "{text}");
}

/// `stats` counts by destination, reason and code, and says what the store holds.
#[test]
fn stats_count() {
    let (room, _) = three();
    let stats = room.json(&["stats", "--json"]);
    assert_eq!((&stats["dead"]["letters"], &stats["dead"]["spans"]), (&json!(3), &json!(4)));
    let groups = stats["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 3, "{stats}");
    assert_eq!((&groups[0]["reason"], &groups[0]["chains"]), (&json!("rejected"), &json!(["1", "8453"])));
    assert_eq!(stats["destinations"]["otlp/datadog"]["dead"]["spans"], 3);
    assert_eq!(stats["store"]["max_bytes"], 64 << 20);
    let filtered = room.json(&["stats", "--json", "--chain", "10"]);
    assert_eq!((&filtered["dead"]["spans"], filtered["groups"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    let text = room.say(&["stats"]);
    assert!(text.contains("3 dead letters, 4 spans") && text.contains("store: "), "{text}");
}

/// `purge` with nobody to ask needs `--yes`; what it purges is gone, and nothing else is; it is counted as discarded.
#[test]
fn purge_asks_and_counts() {
    let (room, ids) = three();
    let output = room.dlq(&["purge", "--chain", "8453"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("2 dead letters, 3 spans") && texts(&output).1.contains("--yes"));
    assert_eq!(room.listed(&[]), ids);

    assert_eq!(
        room.say(&["purge", &ids[1].to_string(), "--yes"]),
        "1 dead letter, 1 span purged, counted as discarded\n"
    );
    assert_eq!(room.listed(&[]), [ids[0], ids[2]]);
    let purged = room.json(&["purge", "--destination", "otlp/old", "--yes", "--json"]);
    assert_eq!(purged, json!({"purged": {"letters": 1, "spans": 1, "requests": 0}}));
    assert_eq!(room.listed(&[]), [ids[0]]);
    assert_eq!(room.say(&["purge", &ids[1].to_string(), "--yes"]), "no dead letters match\n");
    let kept = room.json(&["stats", "--json"]);
    assert_eq!(kept["destinations"]["otlp/datadog"]["discarded"]["spans"], 1);
    assert_eq!(kept["destinations"]["otlp/old"]["discarded"]["spans"], 1);
}

/// `replay` shows first what it would do, does not move more than 1,000 spans by accident, moves what it is told, and
/// leaves alone what no configured destination would take.
#[test]
fn replay_is_careful() {
    let (room, ids) = three();
    let many = vec![tagged("submit_tx", "5"); 1_001];
    let many = room.bury(vec![letter(many, DeathReason::Rejected, THEN + 30 * SECOND)]);
    let plan = room.json(&["replay", "--dry-run", "--json"]);
    assert_eq!(plan["meant"], json!({"letters": 3, "spans": 1_004, "requests": 0}));
    assert_eq!(
        room.say(&["replay", "--dry-run", "--chain", "1"]),
        "1 dead letter, 2 spans would be queued for replay\n"
    );
    let output = room.dlq(&["replay"]);
    assert_eq!(output.status.code(), Some(1));
    let error = texts(&output).1;
    assert!(error.contains("1,004 spans") && error.contains("--dry-run") && error.contains("otlp/old"), "{error}");
    assert_eq!(room.listed(&[]), [ids[0], ids[1], ids[2], many[0]]);

    let said = room.say(&["replay", "--chain", "8453"]);
    assert_eq!(
        said,
        "2 dead letters, 3 spans queued for replay\n3 spans waiting: no chainspan is running, they are sent when it starts\n"
    );
    assert_eq!(room.listed(&[]), [ids[2], many[0]]);
    room.say(&["replay", "--yes", "--rate", "0"]);
    assert_eq!(room.listed(&[]), [ids[2]]);
    let kept = room.json(&["stats", "--json"]);
    assert_eq!(kept["destinations"]["otlp/datadog"]["waiting"]["spans"], 1_004);
    assert_eq!(room.say(&["replay"]), "no dead letters\n");
}

/// Killed in the middle, a replay has moved whole steps and lost nothing; the same command goes on with the rest.
#[test]
fn replay_goes_on_after_a_crash() {
    let room = Room::new(NOWHERE.into());
    let letters = (0..200).map(|n| letter(vec![tagged("submit_tx", "1")], DeathReason::Rejected, THEN + n)).collect();
    let ids = room.bury(letters);
    let mut slow = room.command(&["replay", "--rate", "40"]).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut said = String::new();
    BufReader::new(slow.stderr.take().expect("piped")).read_line(&mut said).expect("how far it is");
    assert_eq!(said, "10 of 200 spans queued\n");
    slow.kill().expect("killed");
    slow.wait().expect("dead");
    let waiting = || room.json(&["stats", "--json"])["destinations"]["otlp/datadog"]["waiting"]["records"].as_u64();
    let (left, moved) = (room.listed(&[]), waiting().expect("a number") as usize);
    assert!((10..200).contains(&moved), "{moved}");
    assert_eq!(left, ids[moved..], "the oldest first, and each either moved or dead");
    room.say(&["replay", "--rate", "0"]);
    assert_eq!((room.listed(&[]).len(), waiting()), (0, Some(200)));
}

/// Wrong arguments exit 2 and touch nothing; no store, or a configuration without one, exits 1 and says why.
#[test]
fn mistakes_are_told() {
    let (room, _) = three();
    for wrong in [
        &[][..],
        &["list", "--reason", "tired"],
        &["list", "--chain", "polygon"],
        &["list", "--since", "yesterday"],
        &["show"],
        &["show", "x"],
        &["replay", "--rate", "-1"],
        &["walk"],
    ] {
        let output = room.dlq(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", texts(&output).1);
        assert_eq!(texts(&output).0, "", "{wrong:?}");
    }
    let empty = Room::new(NOWHERE.into());
    let output = empty.dlq(&["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("there is no store in"), "{}", texts(&output).1);
    assert!(!empty.store().exists(), "looking makes nothing");
    let path = empty.store().with_file_name("collector-config.yaml");
    std::fs::write(
        &path,
        "service: {extensions: [], pipelines: {logs: {receivers: [otlp], exporters: [otlp/datadog]}}}",
    )
    .expect("written");
    let output = empty.dlq(&["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("file_storage"), "{}", texts(&output).1);
    std::fs::write(&path, "servce: {}").expect("written");
    assert_eq!(empty.dlq(&["list"]).status.code(), Some(2));
}

/// A store that is locked, with nobody on the socket, is not touched: the error says what is the matter.
#[test]
fn a_store_that_is_in_use_is_left_alone() {
    let (room, ids) = three();
    let store = room.open();
    let output = room.dlq(&["list"]);
    assert_eq!(output.status.code(), Some(1));
    let error = texts(&output).1;
    assert!(error.contains("nobody answers on") && error.contains("in use by another chainspan"), "{error}");
    store.close();
    assert_eq!(room.listed(&[]), ids);
    assert_eq!(mode(&room.store()), 0o700);
}
