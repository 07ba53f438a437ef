//! A disk or a store that is full (`docs/reliability.md`), and a directory that two processes want.

use std::path::Path;
use std::time::{Duration, Instant};

use chainspan_testing::process::Process;
use chainspan_testing::torture::tmpfs::Tmpfs;
use chainspan_testing::torture::{Bed, Outcome, Setup, Shape, load, preload};
use tempfile::TempDir;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chainspan"))
}

/// Sends until somebody is refused with UNAVAILABLE: there is no room any more. The spans that found room.
async fn fill(bed: &Bed) -> u64 {
    let mut service = load::service(bed.target().expect("open")).await.expect("connected");
    let begin = Instant::now();
    loop {
        match load::send(&bed.oracle, &mut service, 512).await {
            Outcome::Acknowledged => {}
            Outcome::Failed(tonic::Code::Unavailable) => return bed.oracle.acknowledged(),
            other => panic!("{other:?}"),
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it never fills");
    }
}

async fn ready(bed: &Bed, wanted: bool) {
    let begin = Instant::now();
    while bed.is_ready().await != wanted {
        assert!(begin.elapsed() < Duration::from_secs(30), "ready is not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The agent is down and there is no room left: clients hear UNAVAILABLE, `/health/ready` says no, nothing crashes; a kill
/// and a restart change none of that. With the agent back it heals by itself, takes requests again, and nothing that was
/// acknowledged is missing.
async fn full_and_healed(setup: Setup) {
    let mut bed = Bed::new(setup).expect("a bed");
    bed.agent.go_down().await;
    bed.start().await.expect("started");
    let kept = fill(&bed).await;
    assert!(kept > 512, "some found room: {kept}");
    ready(&bed, false).await;
    bed.kill().await.expect("it was alive");
    bed.start().await.expect("it starts without room");
    fill(&bed).await;
    // Full again and again, beside an agent that comes and goes.
    let load = bed.load(Shape { clients: 4, spans: 512, rate: None });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        bed.agent.come_up().expect("the same port");
        tokio::time::sleep(Duration::from_millis(400)).await;
        bed.agent.go_down().await;
    }
    load.stop().await;
    bed.agent.come_up().expect("the same port");
    bed.drained(Duration::from_secs(60)).await.expect("it drains by itself");
    ready(&bed, true).await;
    let mut service = load::service(bed.target().expect("open")).await.expect("connected");
    assert_eq!(load::send(&bed.oracle, &mut service, 512).await, Outcome::Acknowledged, "healed");
    let (verdict, contents) = bed.verdict().await.expect("at rest");
    eprintln!("{verdict}");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(contents.letters.is_empty() && contents.set_aside == 0, "{:?}", contents.reasons());
}

/// `max_size_mib` is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_refuses_and_heals() {
    full_and_healed(Setup { storage: Some("max_size_mib: 1, min_free_mib: 0".to_owned()), ..Setup::quick(program()) })
        .await;
}

/// The disk itself says ENOSPC, in the middle of whatever is being written.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_heals() {
    let Some(tmpfs) = Tmpfs::mount() else { return };
    full_and_healed(Setup { directory: Some(tmpfs.directory()), ..Setup::quick(program()) }).await;
}

/// The floor under the free disk holds before the disk is full.
#[tokio::test(flavor = "multi_thread")]
async fn the_free_disk_floor_refuses_and_heals() {
    let Some(tmpfs) = Tmpfs::mount() else { return };
    let storage = Some("max_size_mib: 1024, min_free_mib: 4".to_owned());
    full_and_healed(Setup { directory: Some(tmpfs.directory()), storage, ..Setup::quick(program()) }).await;
}

/// Every write and every sync of the store ends with an I/O error for a while, again and again, and once the process is killed
/// meanwhile: clients hear UNAVAILABLE and no OK that is not true, nothing crashes, and it heals by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_refuses_and_heals() {
    let directory = TempDir::with_prefix("chainspan-disk-").expect("a directory");
    let Some(library) = preload::build("disk", directory.path()) else { return };
    let trigger = directory.path().join("fail");
    let environment = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("DISK_FAILS".to_owned(), trigger.display().to_string()),
    ];
    let mut bed = Bed::new(Setup { environment, ..Setup::quick(program()) }).expect("a bed");
    bed.agent.go_down().await;
    bed.start().await.expect("started");
    let load = bed.load(Shape { clients: 4, spans: 64, rate: Some(8_000) });
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::write(&trigger, "").expect("written");
        // From here on nothing can be kept; what was written before may still be on its way to its client.
        fill(&bed).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let kept = bed.oracle.acknowledged();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(bed.oracle.acknowledged(), kept, "an OK for what is not on the disk");
        if round == 1 {
            bed.kill().await.expect("it was alive");
        }
        std::fs::remove_file(&trigger).expect("removed");
        if round == 1 {
            bed.start().await.expect("started");
        }
        let begin = Instant::now();
        while bed.oracle.acknowledged() == kept {
            assert!(begin.elapsed() < Duration::from_secs(30), "it takes nothing again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    load.stop().await;
    bed.agent.come_up().expect("the same port");
    let (verdict, contents) = bed.verdict().await.expect("it drains");
    eprintln!("{verdict}");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(contents.letters.is_empty() && contents.set_aside == 0, "{:?}", contents.reasons());
}

/// A second process on the same directory ends with exit code 1 and says why; the first does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_directory_is_refused() {
    let mut bed = Bed::new(Setup::quick(program())).expect("a bed");
    bed.agent.go_down().await;
    bed.start().await.expect("started");
    let load = bed.load(Shape { clients: 2, spans: 16, rate: Some(2_000) });
    // It listens before it opens its store. With the agent down, an OK means that it has it.
    let begin = Instant::now();
    while bed.oracle.acknowledged() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "it takes nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..3 {
        let mut second = Process::spawn(program(), &bed.config(), &[]).expect("spawned");
        let status = second.end_within(Duration::from_secs(30)).await.expect("it ends");
        let said = second.said();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("file_storage") && said.contains("another chainspan"), "it says why: {said}");
    }
    load.stop().await;
    bed.agent.come_up().expect("the same port");
    let (verdict, _) = bed.verdict().await.expect("at rest");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(verdict.acknowledged > 0 && verdict.refused.is_empty(), "the first one went on: {verdict}");
}
