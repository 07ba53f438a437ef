//! The hop benchmark: what chainspan costs between a gateway and the Datadog agent, as CPU time per span of the real process,
//! beside yardsticks that run in the same minute on the same machine. `docs/performance.md` explains the method.
//!
//! `cargo bench --bench hop` takes about 75 seconds. Shorter or longer by environment:
//!
//! | variable | default | |
//! |---|---|---|
//! | `HOP_ROUNDS` | 3 | rounds; every second one goes backwards |
//! | `HOP_SECONDS` | 1 | saturated load per cell |
//! | `HOP_PACED_SECONDS` | 1 | load at `HOP_RATE`, for the latencies |
//! | `HOP_RATE` | 50000 | spans per second |
//! | `HOP_CONNECTIONS` | 8 | one request in flight on each |
//! | `HOP_SIZES` | 512,16 | spans per request |
//! | `HOP_SUBJECTS` | all | `proxy`, `chainspan-tagged`, `relay`, `chainspan-untagged`, `prost`; `rotel`, `collector`, `collector-spanmetrics` |
//! | `HOP_PEERS` | | `1`: `all` means the last three as well |
//! | `CHAINSPAN_PEERS_DIR` | `target/peers`, `~/.cache/chainspan-peers` | where those are (`tests/peers/README.md`) |
//! | `HOP_FRAME_KIB` | 256 | largest HTTP/2 frame into relay and prost; chainspan asks for 256, tonic's default is 16 |
//! | `HOP_SCALE` | | `1`: the tables of `scale` instead, about a minute |
//! | `HOP_STEADY` | | `30m`: so many minutes of one load, a line a minute, instead |
//! | `HOP_STEADY_RATE` | | spans a second of that load; otherwise as fast as it goes |
//! | `CHAINSPAN_BIN` | this build | another chainspan, to compare two commits |
//! | `HOP_OUT` | `target/hop.json` | where the figures go |

mod arrivals;
mod bodies;
mod cell;
mod limits;
mod load;
mod ours;
mod peers;
mod process;
mod report;
mod roles;
mod scale;
mod scale_table;
mod steady;
mod subject;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cell::Cell;
use process::Role;
use report::Failure;
use subject::Subject;

/// What is run, and for how long.
pub(crate) struct Plan {
    rounds: usize,
    pub(crate) time: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) pace: Duration,
    pub(crate) spans_per_second: f64,
    pub(crate) connections: usize,
    sizes: Vec<usize>,
    subjects: Vec<Subject>,
    out: PathBuf,
}

impl Plan {
    fn from_environment() -> Result<Self, Box<dyn Error>> {
        let subjects: String = setting("HOP_SUBJECTS", "all".to_owned())?;
        let sizes: String = setting("HOP_SIZES", "512,16".to_owned())?;
        let wanted: Vec<_> = subjects.split(',').collect();
        let out = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/hop.json");
        if let Some(odd) = wanted.iter().find(|w| **w != "all" && !Subject::ALL.iter().any(|s| s.name() == **w)) {
            return Err(format!("HOP_SUBJECTS: there is no {odd:?}").into());
        }
        let peers = setting("HOP_PEERS", 0_u8)? == 1;
        Ok(Self {
            rounds: setting("HOP_ROUNDS", 3)?,
            time: Duration::from_secs_f64(setting("HOP_SECONDS", 1.0)?),
            warm_up: Duration::from_millis(200),
            pace: Duration::from_secs_f64(setting("HOP_PACED_SECONDS", 1.0)?),
            spans_per_second: setting("HOP_RATE", 50_000.0)?,
            connections: setting("HOP_CONNECTIONS", 8)?,
            sizes: sizes.split(',').map(str::parse).collect::<Result<_, _>>()?,
            subjects: Subject::ALL
                .into_iter()
                .filter(|s| wanted.iter().any(|w| *w == s.name() || (*w == "all" && (peers || !s.is_peer()))))
                .collect(),
            out: std::env::var_os("HOP_OUT").map_or(out, PathBuf::from),
        })
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> Result<T, String> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name}: {text:?} makes no sense here")),
        Err(_) => Ok(default),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name, rest @ ..] = arguments.as_slice()
        && role == "role"
    {
        return roles::run(name, rest.first().map(|a| a.parse()).transpose()?);
    }
    if !arguments.iter().any(|a| a == "--bench") {
        println!("hop: a benchmark; run it with `cargo bench --bench hop`");
        return Ok(());
    }
    let plan = Plan::from_environment()?;
    limits::raise_open_files();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&plan))
}

async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let header = report::header();
    header.iter().for_each(|line| println!("{line}"));
    let cells_in_all = plan.rounds * plan.sizes.len() * plan.subjects.len();
    println!(
        "rounds:  {}, {} connections, latency at {} spans/s, about {:.0} s",
        plan.rounds,
        plan.connections,
        plan.spans_per_second,
        cells_in_all as f64 * cell::seconds_per_cell(plan),
    );
    println!("spans:   {:.0} bytes each, tagged; {:.0} untagged", bodies::span_bytes(true), bodies::span_bytes(false));
    if std::env::var_os("HOP_SCALE").is_some() {
        return scale_table::run(plan).await;
    }
    if let Ok(text) = std::env::var("HOP_STEADY") {
        let minutes = text.strip_suffix('m').and_then(|minutes| minutes.parse::<f64>().ok());
        let minutes = minutes.ok_or("HOP_STEADY: write minutes, as in 30m")?;
        let rate = std::env::var("HOP_STEADY_RATE").ok().map(|rate| rate.parse()).transpose();
        let rate = rate.map_err(|_| "HOP_STEADY_RATE: write spans a second, as in 50000")?;
        return steady::run(Duration::from_secs_f64(minutes * 60.0), rate).await;
    }
    let mut sink = Role::start("sink", None)?;
    let mut cells: Vec<Cell> = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for round in 0..plan.rounds {
        for &size in &plan.sizes {
            let mut subjects = plan.subjects.clone();
            if round % 2 == 1 {
                subjects.reverse();
            }
            for subject in subjects {
                match cell::measure(plan, &mut sink, subject, size, round).await {
                    Ok(cell) => {
                        let name = cell.subject;
                        eprintln!("round {round}: {name:21} {size:>4} spans {:>7.0} ns/span", cell.cpu_ns_per_span);
                        cells.push(cell);
                    }
                    // Other people's programs may be missing or fail; the rest is worth having without them.
                    Err(error) if subject.is_peer() => {
                        let failure = Failure { round, subject: subject.name(), spans: size, error: error.to_string() };
                        eprintln!("round {round}: {failure}");
                        failures.push(failure);
                    }
                    Err(error) => return Err(format!("{}, {size} spans a request: {error}", subject.name()).into()),
                }
            }
        }
    }
    report::print(&cells, &failures, &plan.sizes);
    report::write(&plan.out, &header, &cells, &failures, &plan.sizes)?;
    println!("\nevery figure of every round: {}", plan.out.display());
    Ok(())
}
