//! What the sink has got, and waiting until it has got everything: a subject that loses, doubles or forgets to tag spans has
//! not done the work that it is measured for, and one that answers early has not done it yet.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::process::{self, Role};

/// How long an acknowledged span may be on its way.
const PATIENCE: Duration = Duration::from_secs(10);

/// What had arrived at one moment, and the CPU time that the process under test had used by then.
pub(crate) struct Mark {
    pub(crate) cpu: Duration,
    stats: serde_json::Value,
}

impl Mark {
    /// As it is once process `pid` is quiet.
    pub(crate) async fn at_rest(pid: u32, sink: &mut Role) -> Result<Self, Box<dyn Error>> {
        Ok(Self { cpu: process::cpu_once_quiet(pid).await?, stats: sink.stats()? })
    }

    /// As it is once `spans` more have arrived and process `pid` is quiet. After ten seconds without them it is taken as it
    /// is then; [`Mark::check`] says so.
    pub(crate) async fn after(&self, spans: u64, pid: u32, sink: &mut Role) -> Result<Self, Box<dyn Error>> {
        let limit = Instant::now() + PATIENCE;
        while count(&sink.stats()?, "spans") < self.count("spans") + spans && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self::at_rest(pid, sink).await
    }

    fn count(&self, key: &str) -> u64 {
        count(&self.stats, key)
    }

    /// How many requests have arrived since `earlier`.
    pub(crate) fn requests_since(&self, earlier: &Self) -> u64 {
        self.count("requests") - earlier.count("requests")
    }

    /// An error unless exactly `sent` spans have arrived since `earlier`, and, should that be promised, with their tags.
    pub(crate) fn check(&self, earlier: &Self, sent: u64, promises_tags: bool) -> Result<(), Box<dyn Error>> {
        let arrived = |key| self.count(key) - earlier.count(key);
        if arrived("spans") != sent {
            return Err(format!("{sent} spans were acknowledged, {} arrived", arrived("spans")).into());
        }
        let (untagged, checked) = (arrived("untagged_spans"), arrived("checked_spans"));
        if promises_tags && checked == 0 {
            return Err("the load was too short for the sink to look into a request".into());
        }
        if promises_tags && untagged > 0 {
            return Err(format!("{untagged} of {checked} spans looked at arrived without their chain_id").into());
        }
        Ok(())
    }
}

fn count(stats: &serde_json::Value, key: &str) -> u64 {
    stats[key].as_u64().unwrap_or_default()
}
