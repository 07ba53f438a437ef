//! The instruction-count gate: how many instructions the walk, the tag, the classification, the commit and the encoders take,
//! counted by callgrind and compared with `benches/instructions/baseline.txt`. Counts do not depend on what else the machine
//! does, as times do. `cargo bench --bench instructions`; `.ci/run` runs it.
//!
//! A scenario that takes more than 5 % more than the baseline fails. After a change that is meant to cost or to gain,
//! `INSTRUCTIONS=save cargo bench --bench instructions` writes the baseline anew. Another compiler makes other code: where
//! the toolchain is not the baseline's, the counts are printed and not judged, and the exit code is 3. So it is without
//! valgrind. `INSTRUCTIONS=time` shows nanoseconds instead, the least of many runs.
//!
//! The frameworks for this (gungraun, iai-callgrind) keep their baselines in `target/` as raw files of valgrind and need a
//! second program of exactly their own version; what is needed here is a file in the repository and one comparison.

mod scenarios;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use scenarios::Scenario;

/// How much more than the baseline is too much.
const LIMIT: f64 = 0.05;

/// Exit code: nothing was judged.
const NOT_CHECKED: u8 = 3;

/// How often a scenario runs when it is timed.
const RUNS: usize = 200;

/// How much is worth a word when it was gained.
const WORTH_SAVING: f64 = -0.05;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name] = arguments.as_slice()
        && role == "scenario"
    {
        return run(name);
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("instructions: a benchmark; run it with `cargo bench --bench instructions`");
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen = || Scenario::ALL.iter().filter(|scenario| wanted.is_none_or(|wanted| scenario.name.contains(wanted)));
    if std::env::var("INSTRUCTIONS").is_ok_and(|mode| mode == "time") {
        chosen().for_each(time);
        return Ok(ExitCode::SUCCESS);
    }
    if !Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("NOT CHECKED: there is no valgrind (apt-get install valgrind)");
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    let mut counts = BTreeMap::new();
    for scenario in chosen() {
        counts.insert(scenario.name, count(scenario)?);
    }
    judge(&counts, wanted.is_none())
}

/// Nanoseconds per unit, for people: the least of many runs.
fn time(scenario: &Scenario) {
    let mut work = (scenario.prepare)();
    let run = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let least = (0..RUNS).map(run).min().unwrap_or_default();
    println!("{:20} {:12.1} ns per {}", scenario.name, least.as_nanos() as f64 / scenario.units as f64, scenario.unit);
}

/// In the process under valgrind.
fn run(name: &str) -> Result<ExitCode, Box<dyn Error>> {
    let scenario = Scenario::ALL.iter().find(|scenario| scenario.name == name).ok_or("there is no such scenario")?;
    let mut work = (scenario.prepare)();
    // Once unseen: tables are made, memory is taken.
    work();
    counted_by_callgrind(&mut work);
    Ok(ExitCode::SUCCESS)
}

/// What callgrind counts: it is switched on and off by this function's name.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
    // So that the call above is no jump.
    std::hint::black_box(());
}

/// Instructions per unit of `scenario`.
fn count(scenario: &Scenario) -> Result<f64, Box<dyn Error>> {
    let directory = target().join("instructions");
    std::fs::create_dir_all(&directory)?;
    let out = directory.join(format!("{}.callgrind", scenario.name));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted_by_callgrind*", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args([std::env::current_exe()?.as_os_str(), "scenario".as_ref(), scenario.name.as_ref()])
        .output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", scenario.name, String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = std::fs::read_to_string(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    let total: u64 = total.ok_or("callgrind wrote no total")?.trim().parse()?;
    if total == 0 {
        return Err(format!("{}: callgrind did not see the function that it is to count", scenario.name).into());
    }
    Ok(total as f64 / scenario.units as f64)
}

/// What the counts depend on, beside the code.
fn toolchain() -> Result<String, Box<dyn Error>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = String::from_utf8(Command::new(rustc).arg("-vV").output()?.stdout)?;
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown").trim().to_owned();
    Ok(format!("rustc {} for {}", field("release:"), field("host:")))
}

/// Prints the counts beside the baseline, and says whether they are within the limit.
fn judge(counts: &BTreeMap<&str, f64>, complete: bool) -> Result<ExitCode, Box<dyn Error>> {
    let toolchain = toolchain()?;
    let (made_by, baseline) = read(&baseline_path())?;
    println!("{:20} {:>12} {:>12} {:>8}", "instructions", "baseline", "now", "");
    let mut worst: f64 = 0.0;
    for (name, now) in counts {
        let unit = Scenario::ALL.iter().find(|scenario| scenario.name == *name).map_or("", |scenario| scenario.unit);
        match baseline.get(*name) {
            Some(before) => {
                let change = now / before - 1.0;
                worst = worst.max(change);
                let remark = match change {
                    change if change > LIMIT => "  TOO MUCH",
                    change if change < WORTH_SAVING => "  gained: save it (INSTRUCTIONS=save)",
                    _ => "",
                };
                println!("{name:20} {before:12.1} {now:12.1} {:+7.1}% per {unit}{remark}", change * 100.0);
            }
            None => println!("{name:20} {:>12} {now:12.1} {:>8} per {unit}", "-", ""),
        }
    }
    if std::env::var("INSTRUCTIONS").is_ok_and(|mode| mode == "save") {
        if !complete {
            return Err("only a complete run can be saved".into());
        }
        std::fs::write(baseline_path(), written(&toolchain, counts)?)?;
        println!("saved as the baseline");
        return Ok(ExitCode::SUCCESS);
    }
    if made_by != toolchain {
        println!("NOT CHECKED: the baseline is of {made_by}, this is {toolchain}");
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    if complete && counts.keys().any(|name| !baseline.contains_key(*name)) {
        return Err("a scenario has no baseline: INSTRUCTIONS=save cargo bench --bench instructions".into());
    }
    if worst > LIMIT {
        return Err(format!(
            "{:.1} % more instructions than the baseline, {:.0} % allowed",
            worst * 100.0,
            LIMIT * 100.0
        )
        .into());
    }
    Ok(ExitCode::SUCCESS)
}

/// The toolchain in the first line, then a scenario a line. A baseline that is not there is empty.
fn read(path: &Path) -> Result<(String, BTreeMap<String, f64>), Box<dyn Error>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let toolchain = lines.next().unwrap_or("no toolchain").to_owned();
    let counts = lines.map(|line| {
        let (name, count) = line.rsplit_once(' ').ok_or("the baseline has a line without a count")?;
        Ok((name.trim().to_owned(), count.parse()?))
    });
    Ok((toolchain, counts.collect::<Result<_, Box<dyn Error>>>()?))
}

fn written(toolchain: &str, counts: &BTreeMap<&str, f64>) -> Result<String, std::fmt::Error> {
    let mut text = format!("{toolchain}\n");
    for (name, count) in counts {
        writeln!(text, "{name:20} {count:.1}")?;
    }
    Ok(text)
}

fn baseline_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.txt")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}
