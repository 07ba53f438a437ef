//! Simulated gateways whose ground truth is known to the last span, for the demo, the load command and the tests.
//!
//! ```text
//! gateway ── batches ──▶ drive ── OTLP ──▶ chainspan ── OTLP ──▶ agent
//!    └──── facts ──▶ truth ◀── acknowledged ──┘  └─ metrics ─▶ compare
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`spec`] | the words of the span convention |
//! | `truth` | what the acknowledged batches mean, added up: [`Truth`] |
//! | `series` | the truth as series of the metrics catalogue |
//! | `compare` | what was measured beside the truth: [`Truth::compare`], [`check_windows`] |
//! | `gateway` | [`Gateway`]: export requests, and the [`BatchFacts`] that each of them states |
//! | `drive` | sends them with retries, at a rate, with the faults of a [`FaultPlan`]: [`drive`] |
//! | `agent` | [`Agent`], the far end: remembers what arrived |
//!
//! Each module imports only from those above it. The crate does not depend on chainspan and must never do so: what is true
//! is not decided by the code under test. The words of the convention are written down a second time in [`spec`], so that a
//! bug in the classification shows as a difference.

mod agent;
mod chance;
mod clock;
mod codec;
mod compare;
mod drive;
mod gateway;
mod series;
pub mod spec;
mod truth;

pub use agent::{Agent, Verification};
pub use clock::now_unix_nano;
pub use compare::{Difference, ExpositionError, WindowReport, WindowScope, check_windows, parse_exposition};
pub use drive::{
    AckSender, Client, EncodedBatch, ExportResult, FaultPlan, Fleet, LoadPlan, LoadReport, Progress, Relay,
    RetryLimits, TargetError, drive, drive_with_faults,
};
pub use gateway::{Batch, Chain, FAULT_PROFILES, FaultProfile, Flavour, Gateway, GatewaySettings, gateways};
pub use series::{Expected, FAMILIES, MEASURED, MetricFamily, Series, Shape};
pub use truth::{
    BatchFacts, Durations, ExpectedTag, ExplicitHistogram, FineHistogram, GaugeKey, GaugeReading, Identity,
    Measurements, OperationFact, OperationKey, OperationTotals, SpanKey, Timing, Truth, WINDOW_NANO,
};
