//! What is measured: the subjects, and starting a process of each.

use std::error::Error;
use std::net::SocketAddr;

use chainspan_testing::chainspan::Chainspan;

use crate::ours::{Settings, start_chainspan};
use crate::peers;
use crate::process::Role;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A TCP proxy.
    Proxy,
    /// chainspan; every span carries its tags already.
    Tagged,
    /// The raw relay: the common measure.
    Relay,
    /// chainspan; every span needs its tags.
    Untagged,
    /// Decode into structs, tag, encode; every span needs a tag.
    Prost,
    /// rotel, forwarding only.
    Rotel,
    /// The OpenTelemetry Collector, forwarding only.
    Collector,
    /// The same, counting every span as well.
    CollectorSpanmetrics,
}

impl Subject {
    /// In the order in which a round goes, with the relay beside both of ours.
    pub(crate) const ALL: [Self; 8] = [
        Self::Proxy,
        Self::Tagged,
        Self::Relay,
        Self::Untagged,
        Self::Prost,
        Self::Rotel,
        Self::Collector,
        Self::CollectorSpanmetrics,
    ];

    /// As in the table, in `target/hop.json` and in `HOP_SUBJECTS`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Tagged => "chainspan-tagged",
            Self::Relay => "relay",
            Self::Untagged => "chainspan-untagged",
            Self::Prost => "prost",
            Self::Rotel => "rotel",
            Self::Collector => "collector",
            Self::CollectorSpanmetrics => "collector-spanmetrics",
        }
    }

    /// Whether it is a program of other people, which may be missing, or fail, without ending the run.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Rotel | Self::Collector | Self::CollectorSpanmetrics)
    }

    pub(crate) fn wants_tagged_input(self) -> bool {
        !matches!(self, Self::Untagged | Self::Prost | Self::CollectorSpanmetrics)
    }

    /// Whether each span must have its `chain_id` when it leaves.
    pub(crate) fn promises_tags(self) -> bool {
        matches!(self, Self::Tagged | Self::Untagged | Self::Prost | Self::CollectorSpanmetrics)
    }
}

/// A subject's process. It ends when this is dropped.
pub(crate) enum Running {
    Role(Role),
    Chainspan(Box<Chainspan>),
    Peer(peers::Running),
}

impl Running {
    /// Starts `subject`, which forwards to `sink`.
    pub(crate) fn start(subject: Subject, sink: SocketAddr) -> Result<Self, Box<dyn Error>> {
        Ok(match subject {
            Subject::Tagged | Subject::Untagged => {
                Self::Chainspan(Box::new(start_chainspan(sink, Settings::default())?))
            }
            Subject::Proxy | Subject::Relay | Subject::Prost => Self::Role(Role::start(subject.name(), Some(sink))?),
            Subject::Rotel => Self::Peer(peers::rotel(sink)?),
            Subject::Collector => Self::Peer(peers::collector(sink, false)?),
            Subject::CollectorSpanmetrics => Self::Peer(peers::collector(sink, true)?),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Role(role) => role.pid(),
            Self::Chainspan(chainspan) => chainspan.pid(),
            Self::Peer(peer) => peer.pid(),
        }
    }

    /// Where it takes OTLP over gRPC.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Role(role) => role.address,
            Self::Chainspan(chainspan) => chainspan.grpc(),
            Self::Peer(peer) => peer.address,
        }
    }
}
