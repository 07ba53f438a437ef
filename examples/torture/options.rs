//! What can be asked for.

use std::path::PathBuf;
use std::time::Duration;

/// Kills, terminates and cuts off a real chainspan, and looks for every span
/// that it acknowledged
///
/// Exit code 0: nothing is lost. 1: something is, or a promise was not kept.
#[derive(Debug, clap::Parser)]
#[command(
    name = "torture",
    after_help = "Example:\n  cargo run --release --example torture -- --kills 1000 --terms 200 --outage 0s"
)]
pub(crate) struct Options {
    /// How often to kill -9, under load and during recovery; 0: not at all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) kills: u32,
    /// The longest life of a process before it is killed
    #[arg(long, value_name = "MS", default_value_t = 300)]
    pub(crate) longest_life_ms: u64,
    /// How often to SIGTERM under load while the agent is down; 0: not at all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) terms: u32,
    /// How long the agent is away, as 30s, 10m, 1h; 0s: not at all
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    pub(crate) outage: Duration,
    /// Spans a second during the outage
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// Spans in a request during the outage
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) spans: u32,
    /// Room in the store during the outage: some 250 bytes a span
    #[arg(long, value_name = "MIB", default_value_t = 16_384)]
    pub(crate) max_size_mib: u32,
    /// Decides the moments; the same number, the same moments
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The chainspan under test [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("write a number and s, m or h, as in 10m".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "not a number".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}
