//! A small multichain gateway, instrumented by the span convention: the official OpenTelemetry SDK, `tracing` and
//! `tracing-opentelemetry`. What to copy is in `telemetry.rs` (setting the SDK up) and `operations.rs` (the five operations);
//! `world.rs` simulates operators, chains and webhooks, which fail by a script so that every outcome occurs.
//!
//! ```text
//! cargo run -- run                                                   # chainspan, in one terminal
//! cargo run --example gateway -- --endpoint http://127.0.0.1:14317   # the gateway, in another
//! curl -s 127.0.0.1:9464/metrics | grep avs_gateway_operations
//! ```

mod operations;
mod telemetry;
mod world;

use std::time::Duration;

use clap::Parser;
use tokio::task::JoinSet;
use tokio::time::Instant;

use world::{CHAINS, Chain, Task};

/// Run tasks on two chains and export a span for every step of each
#[derive(Parser)]
struct Arguments {
    /// Where to send spans: OTLP over gRPC
    #[arg(long, default_value = "http://127.0.0.1:14317")]
    endpoint: String,
    /// How long to run; each chain gets about ten tasks per second
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Before the first span, and inside the runtime: the exporter's connection lives on it.
    let telemetry = telemetry::init(&arguments.endpoint)?;

    let end = Instant::now() + Duration::try_from_secs_f64(arguments.seconds)?;
    let mut chains = JoinSet::new();
    for chain in CHAINS {
        chains.spawn(run_chain(chain, end));
    }
    let tasks: usize = chains.join_all().await.into_iter().sum();

    // Without this the last batch is lost with the process.
    tokio::task::spawn_blocking(move || telemetry.shut_down()).await??;
    println!("{tasks} tasks on {} chains", CHAINS.len());
    Ok(())
}

/// Task after task on one chain until `end`; at least one of every scenario. Returns how many.
async fn run_chain(chain: Chain, end: Instant) -> usize {
    let mut number = 0;
    while number < Task::SCENARIOS || Instant::now() < end {
        // A failed task says so in its span; the gateway continues with the next one.
        let _ = operations::process_task(&Task::new(chain, number)).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    number
}
