//! Arguments that the commands share.

use std::path::PathBuf;

use super::moment;
use crate::admin::letters::api;
use crate::chain::ChainId;
use crate::store::DeathReason;

/// Whose dead letters.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Whose store, as for run
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Which ones: all that is given must hold.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// With a span of this chain
    #[arg(long, value_name = "ID", value_parser = chain)]
    chain: Option<ChainId>,
    /// rejected, too_large, expired or corrupt_record
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<DeathReason>,
    /// Of this exporter: otlp/datadog
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Died at or after: 2h, 3d or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<u64>,
    /// Died before
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<u64>,
    /// At most so many, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl Which {
    /// As the service understands it; `ids`: these and no others, unless there are none.
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

/// `no dead letters`, and whether that is so because of what was asked for.
pub(super) fn none(filter: &api::Filter) -> &'static str {
    if *filter == api::Filter::default() { "no dead letters" } else { "no dead letters match" }
}

fn chain(text: &str) -> Result<ChainId, String> {
    ChainId::parse(text.as_bytes()).ok_or_else(|| "not a chain id; write a number such as 8453".to_owned())
}

fn reason(text: &str) -> Result<DeathReason, String> {
    let names = DeathReason::ALL.map(DeathReason::name).join(", ");
    DeathReason::parse(text).ok_or_else(|| format!("there is no such reason; the reasons are {names}"))
}
