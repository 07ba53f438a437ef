//! The table of `docs/delivery.md` section 5: what the process is in, and what each health endpoint then says.

use http::StatusCode;

use super::lifecycle::Phase;

/// Whether requests should be sent here: what gRPC health says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// NOT_SERVING: starting, draining, or unable to accept.
    #[default]
    NotServing,
    /// SERVING.
    Serving,
}

/// `status` of `application/health+json`, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HealthStatus {
    Pass,
    Warn,
    Fail,
}

impl HealthStatus {
    /// 200, or 503 for `Fail`.
    pub(super) fn code(self) -> StatusCode {
        match self {
            HealthStatus::Pass | HealthStatus::Warn => StatusCode::OK,
            HealthStatus::Fail => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A row of the table. Where several hold, the last of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    /// All is well.
    Normal,
    /// Something needs attention: a destination, a chain, dead letters, the store. We keep accepting.
    Degraded,
    /// There is no space for another request: in memory, or in the store while a destination takes nothing.
    CannotAccept,
    /// The endpoints are not open yet.
    Starting,
    /// The process was told to stop.
    Draining,
    /// The thread that carries requests has not run anything for too long.
    Stalled,
}

impl Condition {
    /// The row that holds.
    pub(super) fn of(phase: Phase, stalled: bool, cannot_accept: bool, degraded: bool) -> Self {
        match phase {
            _ if stalled => Condition::Stalled,
            Phase::Draining => Condition::Draining,
            Phase::Starting => Condition::Starting,
            Phase::Running if cannot_accept => Condition::CannotAccept,
            Phase::Running if degraded => Condition::Degraded,
            Phase::Running => Condition::Normal,
        }
    }

    /// `/health`: whether the process should be left alone. Only a stalled one should not.
    pub(super) fn alive(self) -> HealthStatus {
        match self {
            Condition::Normal => HealthStatus::Pass,
            Condition::Degraded | Condition::CannotAccept | Condition::Starting | Condition::Draining => {
                HealthStatus::Warn
            }
            Condition::Stalled => HealthStatus::Fail,
        }
    }

    /// `/health/ready`: whether requests should be sent here.
    pub(super) fn ready(self) -> HealthStatus {
        match self {
            Condition::Normal => HealthStatus::Pass,
            Condition::Degraded => HealthStatus::Warn,
            Condition::CannotAccept | Condition::Starting | Condition::Draining | Condition::Stalled => {
                HealthStatus::Fail
            }
        }
    }

    /// gRPC health.
    pub(super) fn readiness(self) -> Readiness {
        match self.ready() {
            HealthStatus::Pass | HealthStatus::Warn => Readiness::Serving,
            HealthStatus::Fail => Readiness::NotServing,
        }
    }

    /// In words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Condition::Normal => "",
            Condition::Degraded => "working, but needs attention",
            Condition::CannotAccept => "no memory left for another request: memory_limit_mib is used up",
            Condition::Starting => "starting: nothing is accepted before the store is open and recovered",
            Condition::Draining => "draining: told to stop, no new requests are accepted",
            Condition::Stalled => "the thread that carries requests has not run anything for more than 10 s",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/delivery.md` section 5, row by row.
    #[test]
    fn the_table_is_the_specifications() {
        use Readiness::{NotServing, Serving};
        for (condition, alive, ready, status, grpc) in [
            (Condition::Starting, 200, 503, HealthStatus::Fail, NotServing),
            (Condition::Normal, 200, 200, HealthStatus::Pass, Serving),
            (Condition::Degraded, 200, 200, HealthStatus::Warn, Serving),
            (Condition::CannotAccept, 200, 503, HealthStatus::Fail, NotServing),
            (Condition::Draining, 200, 503, HealthStatus::Fail, NotServing),
            (Condition::Stalled, 503, 503, HealthStatus::Fail, NotServing),
        ] {
            assert_eq!(condition.alive().code(), alive, "{condition:?}");
            assert_eq!(condition.ready().code(), ready, "{condition:?}");
            assert_eq!(condition.ready(), status, "{condition:?}");
            assert_eq!(condition.readiness(), grpc, "{condition:?}");
        }
    }

    #[test]
    fn the_gravest_condition_counts() {
        use Phase::{Draining, Running, Starting};
        for (phase, stalled, full, degraded, expected) in [
            (Running, false, false, false, Condition::Normal),
            (Running, false, false, true, Condition::Degraded),
            (Running, false, true, true, Condition::CannotAccept),
            (Starting, false, true, true, Condition::Starting),
            (Draining, false, true, true, Condition::Draining),
            (Draining, true, false, false, Condition::Stalled),
            (Running, true, true, true, Condition::Stalled),
        ] {
            assert_eq!(Condition::of(phase, stalled, full, degraded), expected);
        }
    }
}
