//! Simulated gateways whose ground truth is known to the last span, for the demo, the load command and the tests.
//!
//! A [`Gateway`] makes export requests together with the [`Facts`] that they are meant to state; a [`Fleet`] runs several
//! of them; [`drive`] sends what they make through a [`Client`] and adds up the [`Truth`] of what was acknowledged; an
//! [`Agent`] at the far end remembers what arrived. [`Truth::compare`] lays a Prometheus page beside the truth,
//! [`check_windows`] the metric exports that the agent got. What goes wrong on the way is a [`Trouble`]: late batches, wrong
//! clocks, batches sent twice, and, with a [`Relay`] in between, connections that are cut before an answer arrives.
//!
//! The crate does not depend on chainspan and must never do so: what is true is not decided by the code under test. The
//! words of the convention are written down a second time in [`spec`], so that a bug in the classification shows as a
//! difference.

mod agent;
mod cell;
mod character;
mod client;
mod codec;
mod compare;
mod detail;
mod draft;
mod drive;
mod ending;
mod exposition;
mod fact;
mod families;
mod figures;
mod fleet;
mod gateway;
mod histogram;
mod point;
mod relay;
mod scrape;
pub mod spec;
mod spelling;
mod story;
mod timing;
mod trouble;
mod truth;
mod windows;

pub use agent::{Agent, Delivery};
pub use cell::{Cell, GaugeKey, Key, Seen};
pub use character::{CHARACTERS, Chain, Character};
pub use client::{Answer, Client, Patience, TargetError};
pub use compare::Difference;
pub use draft::Flavour;
pub use drive::{Plan, Progress, Report, drive, drive_through};
pub use exposition::{ExpositionError, Series, parse as parse_exposition};
pub use fact::{Fact, Facts, Identity, More, SpanKey, Tag};
pub use families::{FAMILIES, Family, MEASURED, Shape};
pub use figures::Figure;
pub use fleet::{Answers, Fleet, Sealed, gateways, now_unix_nano};
pub use gateway::{Batch, Gateway, Settings};
pub use histogram::{Classic, Durations, Fine};
pub use relay::Relay;
pub use scrape::{ScrapeError, get};
pub use timing::{Timing, WINDOW_NANO};
pub use trouble::Trouble;
pub use truth::Truth;
pub use windows::{Scope, Windows, check as check_windows};
