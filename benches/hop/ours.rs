//! chainspan itself, with the configuration that is shipped and ports of its own.

use std::error::Error;
use std::net::SocketAddr;

use chainspan_testing::chainspan::{Chainspan, DIRECTORY};

/// In what chainspan's configuration differs from the one that is shipped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) destinations: usize,
    /// Of requests to the destinations.
    pub(crate) compression: &'static str,
    pub(crate) max_series: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { destinations: 1, compression: "none", max_series: 4_096 }
    }
}

/// The whole pipeline, as shipped, with ports of its own.
pub(crate) fn start_chainspan(sink: SocketAddr, settings: Settings) -> Result<Chainspan, Box<dyn Error>> {
    let names: Vec<String> = (0..settings.destinations).map(|nth| format!("otlp/datadog{nth}")).collect();
    let destination = |name: &String| {
        format!("  {name}: {{endpoint: {sink}, tls: {{insecure: true}}, compression: {}}}\n", settings.compression)
    };
    let (exporters, names) = (names.iter().map(destination).collect::<String>(), names.join(", "));
    let max_series = settings.max_series;
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0}}}}}}}}
processors: {{chain: {{}}}}
connectors: {{gateway: {{max_series: {max_series}}}}}
exporters:
{exporters}  prometheus: {{endpoint: 127.0.0.1:0}}
extensions:
  health_check: {{endpoint: 127.0.0.1:0}}
  file_storage: {{directory: {DIRECTORY}/store}}
service:
  extensions: [health_check, file_storage]
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, {names}]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus]}}
"
    );
    Ok(Chainspan::try_start(&config)?)
}
