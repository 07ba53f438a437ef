//! Arguments that the commands have in common.

use std::path::PathBuf;

use super::time;
use crate::admin::letters::api;
use crate::chain::ChainId;
use crate::store::DeathReason;

/// Which store.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// The configuration it runs with [default: as run]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Which dead letters: those to which everything given applies.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArgs {
    /// Only letters with a span of this chain
    #[arg(long, value_name = "ID", value_parser = chain)]
    chain: Option<ChainId>,
    /// Only rejected, too_large, expired or corrupt_record
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<DeathReason>,
    /// Only letters for this exporter, such as otlp/datadog
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Only letters last tried since: 2h, 3d, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<u64>,
    /// Only letters last tried before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<u64>,
    /// At most N letters, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl FilterArgs {
    /// The filter of a request; `ids`: only these, unless there are none.
    pub(super) fn filter(&self, ids: &[i64]) -> api::Filter {
        api::Filter {
            ids: ids.to_vec(),
            chain: self.chain.map(|chain| chain.to_string()),
            reason: self.reason.map(|reason| reason.name().to_owned()),
            destination: self.destination.clone(),
            since_unix_nano: self.since,
            until_unix_nano: self.until,
            limit: self.limit,
        }
    }
}

fn chain(text: &str) -> Result<ChainId, String> {
    ChainId::parse(text.as_bytes()).ok_or_else(|| "not a chain id: write a number, such as 8453".to_owned())
}

fn reason(text: &str) -> Result<DeathReason, String> {
    let names = DeathReason::ALL.map(DeathReason::name).join(", ");
    DeathReason::parse(text).ok_or_else(|| format!("unknown reason: write one of {names}"))
}
