//! Reads one `exporters.otlp/NAME`.

use std::time::Duration;

use super::component::LATER;
use super::field::Field;
use super::reader::Section;
use super::sections::SOME_TIME;
use super::types::{Breaker, Compression, Destination, Retry, Role, Secret, Signals, Temporality};
use super::{defaults, endpoint};

/// The names of `compression`.
pub(super) const COMPRESSION: [(&str, Compression); 3] =
    [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
/// The names of `role`.
pub(super) const ROLE: [(&str, Role); 2] = [("required", Role::Required), ("debug", Role::Debug)];
/// The names of `temporality`.
pub(super) const TEMPORALITY: [(&str, Temporality); 2] =
    [("delta", Temporality::Delta), ("cumulative", Temporality::Cumulative)];

/// Longer than any outage that somebody waits for.
const DAYS: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longer than any client waits for its answer.
const HOUR: Duration = Duration::from_secs(3600);

/// The destination `name`, which no pipeline names yet.
pub(super) fn destination(name: &str, section: Section<'_>) -> Destination {
    let endpoint = match section.get("endpoint") {
        Some(field) => field.parse("HOST:PORT", endpoint::peer),
        None if name == "otlp/datadog" => None,
        None => {
            section.problem("endpoint is missing; say where to send, for example endpoint: 127.0.0.1:4317");
            None
        }
    };
    if let Some(tls) = section.get("tls") {
        plaintext(&tls);
    }
    section.refuse("auth", LATER);
    section.refuse("sending_queue", "not needed, requests wait for their delivery and not in a queue; remove it");
    for key in ["keepalive", "read_buffer_size", "write_buffer_size", "wait_for_ready", "balancer_name", "authority"] {
        section.refuse(key, "not needed, chainspan chooses it; remove it");
    }
    let role = section.or("role", defaults::ROLE, |field| field.one_of(&ROLE));
    if role == Role::Debug {
        section.refuse("spill_after", "a destination with role: debug is never kept in the store; remove it");
    }
    let destination = Destination {
        name: name.to_owned(),
        endpoint: endpoint.unwrap_or_else(|| defaults::DATADOG_ENDPOINT.to_owned()),
        headers: headers(section.section("headers")),
        compression: section.or("compression", defaults::COMPRESSION, |field| field.one_of(&COMPRESSION)),
        timeout: section.or("timeout", defaults::TIMEOUT, |field| field.duration(SOME_TIME)),
        max_request_bytes: section
            .or("max_request_size", defaults::MAX_REQUEST_BYTES, |field| field.size(1 << 10..=64 << 20)),
        connections: section.or("connections", defaults::CONNECTIONS, |field| field.count(1..=64)),
        breaker: breaker(section.section("circuit_breaker")),
        spill_after: match role {
            Role::Required => {
                section.or("spill_after", defaults::SPILL_AFTER, |field| field.duration(Duration::ZERO..=HOUR))
            }
            Role::Debug => defaults::SPILL_AFTER,
        },
        retry: retry(section.section("retry_on_failure")),
        role,
        temporality: section.or("temporality", defaults::TEMPORALITY, |field| field.one_of(&TEMPORALITY)),
        signals: Signals::default(),
    };
    section.finish();
    destination
}

/// A user who leaves `insecure` out expects encryption, as the Collector would give: that must not become plaintext.
fn plaintext(field: &Field<'_>) {
    let section = field.section();
    let insecure = section.get("insecure");
    let given = insecure.is_some();
    let plain = insecure.and_then(|field| field.truth());
    if plain == Some(false) || !given {
        section.problem("TLS to a destination is not available in this version; write tls: {insecure: true}");
    }
    for key in [
        "ca_file",
        "ca_pem",
        "cert_file",
        "cert_pem",
        "key_file",
        "key_pem",
        "server_name_override",
        "insecure_skip_verify",
        "min_version",
    ] {
        section.refuse(key, LATER);
    }
    section.finish();
}

fn headers(section: Section<'_>) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (key, field) in section.all() {
        let name = key.text.to_ascii_lowercase();
        let reserved =
            name.starts_with("grpc-") || matches!(name.as_str(), "content-type" | "te" | "host" | "user-agent");
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() || name.ends_with("-bin") {
            field.key_problem("not a header name; use letters, digits, \"-\", \"_\" and \".\"");
        } else if reserved {
            field.key_problem("gRPC sets this header itself; remove it");
        } else if headers.iter().any(|(earlier, _)| *earlier == name) {
            field.key_problem("named twice, in other letters; keep one of them");
        }
        let Some(value) = field.text() else { continue };
        if value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            headers.push((name, Secret::new(value)));
        } else {
            field.problem("a header value holds ASCII only");
        }
    }
    headers
}

fn retry(section: Section<'_>) -> Retry {
    let default = defaults::RETRY;
    for key in ["enabled", "multiplier", "randomization_factor"] {
        section.refuse(key, "not needed, chainspan always retries, with full jitter and doubling pauses; remove it");
    }
    let initial = section.or("initial_interval", default.initial_interval, |field| field.duration(SOME_TIME));
    let max = section.or("max_interval", default.max_interval, |field| field.duration(SOME_TIME));
    if initial > max
        && let Some(field) = section.get("max_interval").or_else(|| section.get("initial_interval"))
    {
        field.problem("max_interval is shorter than initial_interval");
    }
    let elapsed = section.or("max_elapsed_time", Duration::ZERO, |field| field.duration(Duration::ZERO..=DAYS));
    section.finish();
    let max_elapsed_time = if elapsed.is_zero() { default.max_elapsed_time } else { Some(elapsed) };
    Retry { initial_interval: initial, max_interval: max, max_elapsed_time }
}

fn breaker(section: Section<'_>) -> Breaker {
    let default = defaults::BREAKER;
    section.refuse("enabled", "a breaker is never off; raise consecutive_failures to make it patient");
    let failures = section.or("consecutive_failures", default.consecutive_failures, |field| {
        field.integer(1..=1000).and_then(|failures| u32::try_from(failures).ok())
    });
    let min = section.or("open_min", default.open_min, |field| field.duration(SOME_TIME));
    let max = section.or("open_max", default.open_max, |field| field.duration(SOME_TIME));
    if min > max
        && let Some(field) = section.get("open_max").or_else(|| section.get("open_min"))
    {
        field.problem("open_max is shorter than open_min");
    }
    section.finish();
    Breaker { consecutive_failures: failures, open_min: min, open_max: max }
}
