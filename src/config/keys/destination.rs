//! `exporters.otlp/NAME`.

use std::time::Duration;

use super::headers::Headers;
use super::tls::Tls;
use crate::config::endpoint::PEER;
use crate::config::error::LATER;
use crate::config::form::section;
use crate::config::forms::{MOMENT, OneOf, Size, Time, TimeOrNever, nested, whole};
use crate::config::reader::Section;
use crate::config::secret::Secret;

/// Longer than any outage that somebody waits for.
const DAYS: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longer than any client waits for its answer.
const HOUR: Duration = Duration::from_secs(3600);

const CHOSEN: &str = "not needed, chainspan chooses it; remove it";

section! {
    /// A destination. Clients get their OK when every destination has the data, except those with `role: debug`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Destination {
        /// The component name, `otlp/datadog`.
        pub name: String;
        /// Where to send over OTLP gRPC. Only `otlp/datadog` has a default, the agent's own port; every other
        /// destination must name its endpoint.
        pub endpoint: String = "endpoint", PEER, "127.0.0.1:4317".to_owned();
        /// Encryption: none in this version, chainspan belongs on the agent's machine.
        pub tls: Tls = "tls", nested();
        /// gRPC metadata sent with every request, for example `{x-token: "${env:TOKEN}"}`. The values are secrets and
        /// shown nowhere.
        pub headers: Vec<(String, Secret)> = "headers", Headers;
        /// How requests are compressed.
        pub compression: Compression = "compression", OneOf(&COMPRESSION), Compression::None;
        /// How long one attempt may take.
        pub timeout: Duration = "timeout", Time(MOMENT), Duration::from_secs(10);
        /// The most bytes of one outgoing request before compression; the Datadog agent takes 4MiB. Smaller requests
        /// are joined up to this size.
        pub max_request_bytes: usize = "max_request_size", Size(1 << 10..=64 << 20), 1 << 20;
        /// HTTP/2 connections, each with one request in flight.
        pub connections: usize = "connections", whole(1..=64), 2;
        /// The pauses between attempts, with full jitter.
        pub retry: Retry = "retry_on_failure", nested();
        /// When sending pauses because a destination keeps failing. Meanwhile what comes in is kept in the store.
        pub breaker: Breaker = "circuit_breaker", nested();
        /// A request that the destination has not acknowledged after this time is written to the store, and the
        /// client gets its OK. Without `file_storage` there is no store and the client waits. Refused with
        /// `role: debug`, which is never stored.
        pub spill_after: Duration = "spill_after", Time(Duration::ZERO..=HOUR), Duration::from_millis(100);
        /// `required`: an OK to a client means that this destination or the store has the data. `debug`: best effort
        /// from memory, never delays or fails anything.
        pub role: Role = "role", OneOf(&ROLE), Role::Required;
        /// What the points of `metrics/gateway` count: `delta` for the Datadog agent, `cumulative` for backends that
        /// want running totals.
        pub temporality: Temporality = "temporality", OneOf(&TEMPORALITY), Temporality::Delta;
        /// Which pipelines name it.
        pub signals: Signals;
    }
    refuse {
        "auth" => LATER;
        "sending_queue" => "not needed, clients wait for delivery or the store instead of a queue; remove it";
        "keepalive", "read_buffer_size", "write_buffer_size", "wait_for_ready", "balancer_name", "authority" => CHOSEN;
    }
    check stored_or_not;
}

section! {
    /// Pauses between attempts: full-jitter exponential backoff.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Retry {
        /// The longest first pause; each further one may be twice as long.
        pub initial_interval: Duration = "initial_interval", Time(MOMENT), Duration::from_millis(200);
        /// The longest pause. Not shorter than `initial_interval`.
        pub max_interval: Duration = "max_interval", Time(MOMENT), Duration::from_secs(30);
        /// How long a batch is retried before it is given up. `0s`: for ever.
        pub max_elapsed_time: Option<Duration> = "max_elapsed_time", TimeOrNever(DAYS), None;
    }
    refuse {
        "enabled", "multiplier", "randomization_factor" =>
            "not needed, chainspan always retries, with full jitter and doubling pauses; remove it";
    }
    check pauses_grow;
}

section! {
    /// When sending pauses, and for how long. One request then tries whether the destination works again.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Breaker {
        /// How many failures in a row open the breaker.
        pub consecutive_failures: u32 = "consecutive_failures", whole(1..=1000), 5;
        /// How long it stays open the first time. The time grows with every attempt that fails.
        pub open_min: Duration = "open_min", Time(MOMENT), Duration::from_secs(1);
        /// The longest that it stays open. Not shorter than `open_min`.
        pub open_max: Duration = "open_max", Time(MOMENT), Duration::from_secs(60);
    }
    refuse { "enabled" => "the circuit breaker cannot be turned off; raise consecutive_failures so that it opens later"; }
    check breaks_grow;
}

/// `compression` of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

const COMPRESSION: [(&str, Compression); 3] =
    [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];

/// `role` of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An OK to the client means this destination has it.
    Required,
    /// Best effort from memory: never delays, fails or spills anything.
    Debug,
}

const ROLE: [(&str, Role); 2] = [("required", Role::Required), ("debug", Role::Debug)];

/// `temporality` of an exporter: what the points of `metrics/gateway` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// What happened within a window: for the Datadog agent.
    Delta,
    /// Running totals: for backends that want them.
    Cumulative,
}

const TEMPORALITY: [(&str, Temporality); 2] = [("delta", Temporality::Delta), ("cumulative", Temporality::Cumulative)];

/// Which pipelines name a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `pipelines.traces`.
    pub traces: bool,
    /// `pipelines.metrics`.
    pub metrics: bool,
    /// `pipelines.logs`.
    pub logs: bool,
    /// `pipelines.metrics/gateway`: what is measured here.
    pub derived: bool,
}

/// A key of the store has no meaning for a destination that is never stored.
fn stored_or_not(destination: &Destination, section: &Section<'_>) {
    if destination.role == Role::Debug {
        section.refuse("spill_after", "a destination with role: debug is never stored; remove it");
    }
}

fn pauses_grow(retry: &Retry, section: &Section<'_>) {
    if retry.initial_interval > retry.max_interval
        && let Some(field) = section.get("max_interval").or_else(|| section.get("initial_interval"))
    {
        field.problem("max_interval is shorter than initial_interval; raise it");
    }
}

fn breaks_grow(breaker: &Breaker, section: &Section<'_>) {
    if breaker.open_min > breaker.open_max
        && let Some(field) = section.get("open_max").or_else(|| section.get("open_min"))
    {
        field.problem("open_max is shorter than open_min; raise it");
    }
}
