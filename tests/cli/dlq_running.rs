//! `chainspan dlq` on the running process: the same answers through its socket, and what becomes of letters that are sent
//! again or given up.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::dlq_support::{Room, SECOND, letter, mode, tagged, texts};
use chainspan::store::DeathReason;
use chainspan_testing::chainspan::{Chainspan, assert_conservation};
use chainspan_testing::front_door::{self, eventually, export};
use chainspan_testing::otlp::{trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use tonic::Code;

/// 2009-02-13T23:31:30Z.
const THEN: u64 = 1_234_567_890 * SECOND;

/// A count of the conservation block.
fn spans(chainspan: &Chainspan, key: &str) -> u64 {
    assert_conservation(&chainspan.status());
    front_door::spans(chainspan, "otlp/datadog", key)
}

/// Everything but our own counters: what is measured of the gateways.
fn measured(chainspan: &Chainspan) -> String {
    let lines = chainspan.metrics();
    lines
        .lines()
        .filter(|line| line.starts_with("avs_gateway_") && !line.contains("_age_"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Scenario: letters lie in the store when the process starts. Guarantee: list, show and stats answer through the socket
/// what they answer without a process; nobody but the owner can open socket and store.
#[tokio::test(flavor = "multi_thread")]
async fn the_socket_answers_as_the_store_does() {
    let fault = FaultServer::start().await;
    let room = Room::new(fault.address());
    let ids = room.bury(vec![
        letter(vec![tagged("submit_tx", "8453")], DeathReason::Rejected, THEN),
        letter(vec![tagged("process task", "1"); 3], DeathReason::Expired, THEN + SECOND),
    ]);
    let shown = ids[1].to_string();
    let questions: [&[&str]; 3] =
        [&["list", "--json"], &["show", &shown, "--json"], &["list", "--chain", "1", "--json"]];
    let before = questions.map(|question| room.json(question));
    let mut chainspan = Chainspan::start(&room.yaml);
    assert_eq!(questions.map(|question| room.json(question)), before);
    assert_eq!(room.json(&["stats", "--json"])["dead"]["spans"], 4);
    assert_eq!((mode(&room.store()), mode(&room.store().join("admin.sock"))), (0o700, 0o600));
    let output = room.dlq(&["show", "999"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("there is no dead letter 999"), "{}", texts(&output).1);
    assert_eq!(spans(&chainspan, "dead"), 4);
    let ready = chainspan.admin("/health/ready").json();
    eventually("dead letters are a warning", || chainspan.admin("/health/ready").json()["status"] == "warn").await;
    assert_eq!(ready["checks"]["receiver"][0]["status"], "pass");
    assert!(chainspan.terminate().success());
}

/// A second process on the same store is turned away with the fix, and the first does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused() {
    let fault = FaultServer::start().await;
    let room = Room::new(fault.address());
    let chainspan = Chainspan::start(&room.yaml);
    let mut second = Command::new(env!("CARGO_BIN_EXE_chainspan"));
    let path = room.store().with_file_name("collector-config.yaml");
    let output = second.arg("run").arg("--config").arg(path).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let error = texts(&output).1;
    assert!(error.contains("file_storage"), "{error}");
    assert_eq!(error.matches("in use by another chainspan").count(), 1, "said once: {error}");
    assert_eq!(room.say(&["list"]), "no dead letters\n");
    assert_eq!(chainspan.admin("/health/ready").status, 200);
}

/// A directory whose path is too long for a socket is refused at the start, with what to do.
#[test]
fn a_path_that_is_too_long_for_a_socket_is_told() {
    let room = Room::new(([127, 0, 0, 1], 1).into());
    let (path, store) = (room.store().with_file_name("collector-config.yaml"), room.store().display().to_string());
    std::fs::write(&path, room.yaml.replace(&store, &format!("{store}/{}", "x".repeat(100)))).expect("written");
    let mut run = Command::new(env!("CARGO_BIN_EXE_chainspan"));
    let output = run.arg("run").arg("--config").arg(path).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let error = texts(&output).1;
    assert!(error.contains("cannot listen on"), "{error}");
    assert_eq!(error.matches("107 bytes at most").count(), 1, "said once: {error}");
}

/// Scenario: the process is killed and leaves its socket behind. Guarantee: dlq works on the store itself, and the next
/// process puts a socket of its own in the place of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_crash_left_is_replaced() {
    let fault = FaultServer::start().await;
    let room = Room::new(fault.address());
    let ids = room.bury(vec![letter(vec![tagged("submit_tx", "8453")], DeathReason::Rejected, THEN)]);
    let mut chainspan = Chainspan::start(&room.yaml);
    chainspan.signal("KILL");
    chainspan.ended();
    assert!(room.store().join("admin.sock").exists());
    assert_eq!(room.listed(&[]), ids);
    let _again = Chainspan::start(&room.yaml);
    assert_eq!(room.listed(&[]), ids);
}

/// Scenario: a span is refused for good, measured and buried; the destination is mended; the letter is sent again.
/// Guarantee: it arrives as it came, is gone from the dead letters, and counts nowhere a second time.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_arrives_and_is_not_measured_again() {
    let fault = FaultServer::start().await;
    fault.poison("a note", Code::InvalidArgument);
    let room = Room::new(fault.address());
    let chainspan = Chainspan::start(&room.yaml);
    let client = trace_client(chainspan.grpc()).await;
    let span = tagged("submit_tx", "8453");
    let id = span.span_id.clone();
    export(&client, traces("gateway", vec![span])).await.expect("kept as a dead letter, so it is safe");
    eventually("buried", || spans(&chainspan, "dead") == 1).await;
    let list = room.json(&["list", "--json"]);
    assert_eq!((&list[0]["reason"], &list[0]["code"]), (&"rejected".into(), &"INVALID_ARGUMENT".into()), "{list}");
    assert_eq!((&list[0]["chains"][0], &list[0]["operations"][0]), (&"8453".into(), &"tx_submission".into()));
    let before = measured(&chainspan);
    assert!(before.contains("8453"), "{before}");

    fault.poison("nothing holds this", Code::InvalidArgument);
    assert_eq!(room.say(&["replay"]), "1 dead letter, 1 span queued for replay\n1 span delivered\n");
    eventually("delivered", || spans(&chainspan, "delivered") == 1).await;
    assert_eq!((spans(&chainspan, "dead"), spans(&chainspan, "spilled"), spans(&chainspan, "accepted")), (0, 0, 1));
    assert_eq!(fault.accepted_spans().get(&id), Some(&1));
    assert_eq!(room.say(&["list"]), "no dead letters\n");
    assert_eq!(measured(&chainspan), before);
}

/// A letter that is refused again is a dead letter again, once: a replay does not go round in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_again_is_buried_again() {
    let fault = FaultServer::start().await;
    fault.always(Act::Refuse(Code::InvalidArgument, "still bad", None));
    let room = Room::new(fault.address());
    room.bury((0..5).map(|n| letter(vec![tagged("submit_tx", "1")], DeathReason::Rejected, THEN + n)).collect());
    let chainspan = Chainspan::start(&room.yaml);
    assert_eq!(
        room.say(&["replay", "--rate", "0"]),
        "5 dead letters, 5 spans queued for replay\n5 spans refused again: chainspan dlq list shows why\n"
    );
    eventually("all dead again", || spans(&chainspan, "dead") == 5 && spans(&chainspan, "in_flight") == 0).await;
    eventually("by new words", || {
        let list = room.json(&["list", "--json"]);
        list.as_array().expect("an array").iter().filter(|letter| letter["message"] == "still bad").count() == 5
    })
    .await;
    assert_eq!(room.listed(&["--since", "1h"]).len(), 5);
}

/// Scenario: a letter is replayed while its destination is away; then the destination is back and refuses one of the others.
/// Guarantee: the command waits as long as it was told, and says of every span whether it was delivered, was refused again or
/// still waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_what_became_of_each_span() {
    let fault = FaultServer::start().await;
    fault.always(Act::Refuse(Code::Unavailable, "away", None));
    let room = Room::new(fault.address());
    room.bury(vec![
        letter(vec![tagged("submit_tx", "1"); 2], DeathReason::Expired, THEN + 1),
        letter(vec![tagged("submit_tx", "1"); 3], DeathReason::Rejected, THEN + 2),
        letter(vec![tagged("poisonous", "1")], DeathReason::Rejected, THEN + 3),
    ]);
    let chainspan = Chainspan::start(&room.yaml);
    let begun = Instant::now();
    let text = room.say(&["replay", "--reason", "expired", "--wait", "1s"]);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waits");
    let waiting = "2 spans still waiting after 1 s: chainspan dlq stats shows how much waits";
    assert_eq!(text, format!("1 dead letter, 2 spans queued for replay\n{waiting}\n"));

    fault.poison("poisonous", Code::InvalidArgument);
    fault.always(Act::Accept);
    let said = room.json(&["replay", "--json"]);
    let of = |key: &str| said[key]["spans"].as_u64();
    assert_eq!((of("moved"), of("delivered"), of("refused"), of("waiting")), (Some(4), Some(3), Some(1), Some(0)));
    assert_eq!(room.listed(&[]).len(), 1);
    eventually("delivered", || (spans(&chainspan, "delivered"), spans(&chainspan, "dead")) == (5, 1)).await;
}

/// What is purged is counted as discarded at once, and still after a restart: the equation holds all the time.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_stays_in_the_books() {
    let fault = FaultServer::start().await;
    let room = Room::new(fault.address());
    let ids = room.bury(vec![
        letter(vec![tagged("submit_tx", "8453"); 5], DeathReason::Rejected, THEN),
        letter(vec![tagged("process task", "1"); 2], DeathReason::Expired, THEN + SECOND),
    ]);
    let mut chainspan = Chainspan::start(&room.yaml);
    assert_eq!((spans(&chainspan, "dead"), spans(&chainspan, "discarded")), (7, 0));
    assert_eq!(room.dlq(&["purge"]).status.code(), Some(1));
    assert_eq!(
        room.say(&["purge", "--reason", "rejected", "--yes"]),
        "1 dead letter, 5 spans purged, counted as discarded\n"
    );
    eventually("counted", || (spans(&chainspan, "dead"), spans(&chainspan, "discarded")) == (2, 5)).await;
    assert!(chainspan.terminate().success());
    let chainspan = Chainspan::start(&room.yaml);
    assert_eq!((spans(&chainspan, "dead"), spans(&chainspan, "discarded"), spans(&chainspan, "accepted")), (2, 5, 7));
    assert_eq!(room.listed(&[]), ids[1..]);
}

/// Scenario: the client of a slow replay dies. Guarantee: what it had queued arrives, the rest stays dead until the same
/// command is given again; then everything has arrived once.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_whose_client_dies_stops_and_goes_on_later() {
    let fault = FaultServer::start().await;
    let room = Room::new(fault.address());
    room.bury((0..100).map(|n| letter(vec![tagged("submit_tx", "1")], DeathReason::Rejected, THEN + n)).collect());
    let chainspan = Chainspan::start(&room.yaml);
    let mut slow = room.command(&["replay", "--rate", "8"]).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut said = String::new();
    BufReader::new(slow.stderr.take().expect("piped")).read_line(&mut said).expect("how far it is");
    assert_eq!(said, "2 of 100 spans queued\n");
    slow.kill().expect("killed");
    slow.wait().expect("dead");
    // Parts of the answer that were under way may still do their step; then it is quiet.
    let mut dead = spans(&chainspan, "dead");
    loop {
        tokio::time::sleep(Duration::from_millis(900)).await;
        let now = spans(&chainspan, "dead");
        if now == dead {
            break;
        }
        dead = now;
    }
    assert!((1..=98).contains(&dead), "{dead} are still dead");
    assert!(room.say(&["replay", "--rate", "0"]).ends_with("spans delivered\n"));
    eventually("delivered", || spans(&chainspan, "delivered") == 100).await;
    let arrived = fault.accepted_spans();
    assert!(arrived.len() == 100 && arrived.values().all(|times| *times == 1), "{arrived:?}");
}

/// Scenario: the store takes its time to open. Guarantee: meanwhile health answers, alive but not ready; once it is open
/// everything works. A signal in that time ends the process at once, with nothing owed.
#[tokio::test(flavor = "multi_thread")]
async fn health_answers_while_the_store_recovers() {
    let fault = FaultServer::start().await;
    let room = Room::new(fault.address());
    room.bury(vec![letter(vec![tagged("submit_tx", "1")], DeathReason::Rejected, THEN)]);
    let hold = || {
        let holder = rusqlite::Connection::open(room.store().join("spill.db")).expect("opened");
        holder.pragma_update(None, "locking_mode", "EXCLUSIVE").expect("set");
        holder.execute_batch("BEGIN EXCLUSIVE").expect("held");
        holder
    };
    let starting = |chainspan: &Chainspan| {
        let answer = chainspan.admin("/health/ready");
        (answer.status, answer.json()["output"].as_str().unwrap_or_default().starts_with("starting"))
    };
    let holder = hold();
    let chainspan = Chainspan::start_unready(&room.yaml);
    eventually("health answers", || chainspan.listening().contains_key("health_check")).await;
    assert_eq!(starting(&chainspan), (503, true));
    assert_eq!(chainspan.admin("/health").status, 200);
    assert!(chainspan.status()["store"].is_null());
    drop(holder);
    eventually("ready", || chainspan.admin("/health/ready").status == 200).await;
    assert_eq!(spans(&chainspan, "dead"), 1);
    drop(chainspan);

    let _holder = hold();
    let mut chainspan = Chainspan::start_unready(&room.yaml);
    eventually("health answers", || chainspan.listening().contains_key("health_check")).await;
    assert_eq!(starting(&chainspan), (503, true));
    assert!(chainspan.terminate().success());
    assert!(!chainspan.stderr().contains("\"running\""), "{}", chainspan.stderr());
}
