//! OTLP push: what was counted in a window, as requests of the `MetricsService`, handed to the destinations of the
//! pipeline `metrics/gateway`.
//!
//! | who | does | never |
//! |---|---|---|
//! | `point` | one series as one data point | knows which request it goes into |
//! | `request` | groups points by resource and metric, cuts requests to size | waits |
//! | `push` | hands requests over, counts what arrived and what did not | sends a delta twice |
//!
//! This is the slow path: once per window, some thousand points. So it is written with the generated types.

mod point;
mod push;
mod request;

pub use push::{Encoded, Encoder, Pusher};
pub use request::{Period, PushRequest, PushSettings, requests};
