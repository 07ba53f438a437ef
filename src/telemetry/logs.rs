//! Logs: to stderr, for people or for machines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// For people.
    Console,
    /// One JSON object a line, for machines.
    Json,
}

/// The logs could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("logs are set up already; set them up once, at the start of the program")]
pub struct AlreadySetUp;

/// Sends the logs of this process to stderr, times in RFC 3339 and UTC. Colour only on a terminal, and not if `NO_COLOR`
/// is set to anything. Lines of other libraries appear from warnings up: what they say below that is about themselves.
///
/// # Errors
/// When a subscriber has been installed before.
pub fn init(level: LogLevel, encoding: LogEncoding) -> Result<(), AlreadySetUp> {
    let lines = fmt::layer().with_writer(stderr);
    let lines = match encoding {
        LogEncoding::Console => lines.with_ansi(colour()).with_target(false).boxed(),
        LogEncoding::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    registry().with(lines.with_filter(filter(level))).try_init().map_err(|_| AlreadySetUp)
}

fn colour() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stderr().is_terminal() && !forbidden
}

fn filter(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target(env!("CARGO_PKG_NAME"), own)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    /// Debug shows our own lines, and other libraries' only where something is wrong; error silences both below error.
    #[test]
    fn the_level_is_ours_and_others_only_warn() {
        let debug = filter(LogLevel::Debug);
        assert!(debug.would_enable("chainspan::delivery", &Level::DEBUG));
        assert!(!debug.would_enable("h2::codec", &Level::INFO));
        assert!(debug.would_enable("h2::codec", &Level::WARN));
        let error = filter(LogLevel::Error);
        assert!(!error.would_enable("chainspan::delivery", &Level::WARN));
        assert!(!error.would_enable("h2::codec", &Level::WARN));
    }
}
