//! One span as a call, and what tells calls apart.

use std::sync::Arc;

use crate::chain::ChainId;
use crate::red::labels::ChainLabel;

/// `SpanKind` of OTLP. What is none of them is unspecified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// `StatusCode` of OTLP. What is none of them is unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

impl SpanKind {
    /// From the number on the wire.
    pub fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// The name in the protocol.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unspecified => "SPAN_KIND_UNSPECIFIED",
            Self::Internal => "SPAN_KIND_INTERNAL",
            Self::Server => "SPAN_KIND_SERVER",
            Self::Client => "SPAN_KIND_CLIENT",
            Self::Producer => "SPAN_KIND_PRODUCER",
            Self::Consumer => "SPAN_KIND_CONSUMER",
        }
    }
}

impl StatusCode {
    /// From the number on the wire.
    pub fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// The name in the protocol.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unset => "STATUS_CODE_UNSET",
            Self::Ok => "STATUS_CODE_OK",
            Self::Error => "STATUS_CODE_ERROR",
        }
    }
}

/// One span, ready to be counted.
#[derive(Clone, Debug)]
pub struct Call {
    /// `service.name` of its resource; empty where it has none. Bounded in length by the stage.
    pub service: Arc<str>,
    /// Its name, bounded likewise.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: SpanKind,
    /// Its status.
    pub status: StatusCode,
    /// Its chain; `None` is counted under `unknown`.
    pub chain: Option<ChainId>,
    /// End minus start in nanoseconds; 0 when the end is before the start.
    pub duration_nano: u64,
}

/// What tells calls apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey {
    /// `service.name`.
    pub service: Arc<str>,
    /// Span name.
    pub name: Arc<str>,
    /// Span kind.
    pub kind: SpanKind,
    /// Span status.
    pub status: StatusCode,
    /// The chain.
    pub chain: ChainLabel,
    /// All beyond the limit, together: nothing but the chain tells them apart, the rest is empty.
    pub overflow: bool,
}

impl CallKey {
    pub(super) fn new(call: &Call, chain: ChainLabel) -> Self {
        let Call { service, name, kind, status, .. } = call.clone();
        Self { service, name, kind, status, chain, overflow: false }
    }

    /// What all share that are beyond the limit.
    pub(super) fn overflow(chain: ChainLabel) -> Self {
        let nothing: Arc<str> = Arc::default();
        let (kind, status) = Default::default();
        Self { service: nothing.clone(), name: nothing, kind, status, chain, overflow: true }
    }
}
