//! What the demo's chainspan runs with: the shipped configuration on free ports, and the chains that are simulated.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use chainspan_sim::spec;

use crate::chain::ChainId;
use crate::config::{ChainInfo, Config, HealthCheck, Prometheus};

/// The simulated chains. With [`Chain::with_profiles`](chainspan_sim::Chain::with_profiles) something else goes wrong on
/// each.
pub const DEMO_CHAINS: [u64; 6] = [1, 8_453, 42_161, 10, 137, 11_155_111];

/// Any free port of the loopback.
pub(super) const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The shipped configuration with free ports instead of fixed ones, with the demo's chains by name, with `endpoint`
/// (`HOST:PORT`) as the destination, and without a store.
pub fn config(endpoint: &str) -> Config {
    let mut config = Config::shipped();
    config.receiver.protocols.grpc.endpoint = FREE_PORT;
    config.prometheus = Some(Prometheus { endpoint: FREE_PORT });
    config.health_check = Some(HealthCheck { endpoint: FREE_PORT });
    // Its directory belongs to a chainspan that is installed.
    config.file_storage = None;
    for destination in &mut config.destinations {
        endpoint.clone_into(&mut destination.endpoint);
    }
    if let Some(gateway) = &mut config.gateway {
        gateway.chains = chains();
    }
    config
}

fn chains() -> BTreeMap<ChainId, ChainInfo> {
    let chains = DEMO_CHAINS.into_iter().filter_map(|id| {
        let name = spec::chain_name(id).map(str::to_owned);
        let block_time = Some(Duration::from_millis(spec::block_time_ms(id)));
        Some((ChainId::new(id)?, ChainInfo { name, block_time }))
    });
    chains.collect()
}
