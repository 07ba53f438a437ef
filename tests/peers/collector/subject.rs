//! The programs that are compared.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use chainspan_testing::chainspan::Chainspan;
use chainspan_testing::front_door::sum;
use chainspan_testing::peer::{self, Peer};
use chainspan_testing::port;

use super::FLUSH;

pub(crate) enum Subject {
    Chainspan(Chainspan),
    Collector { name: &'static str, peer: Peer, address: SocketAddr },
}

impl Subject {
    /// With its defaults, except that it gives an attempt up sooner than after ten seconds.
    pub(crate) fn chainspan(agent: SocketAddr) -> Self {
        let quick = "timeout: 2s, retry_on_failure: {initial_interval: 10ms, max_interval: 50ms}";
        let yaml = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0}}}}}}}}
processors: {{chain: {{}}}}
connectors: {{gateway: {{}}}}
exporters:
  otlp/datadog: {{endpoint: {agent}, tls: {{insecure: true}}, {quick}}}
  prometheus: {{endpoint: 127.0.0.1:0}}
extensions: {{health_check: {{endpoint: 127.0.0.1:0}}}}
service:
  extensions: [health_check]
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus, otlp/datadog]}}
"
        );
        Self::Chainspan(Chainspan::start(&yaml))
    }

    /// `exporter` and `connector` are settings beside the usual ones.
    pub(crate) fn collector(
        name: &'static str,
        program: &Path,
        agent: SocketAddr,
        exporter: &str,
        connector: &str,
    ) -> Self {
        let directory = peer::directory();
        let address = port::free();
        let yaml = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: {address}, max_recv_msg_size_mib: 64}}}}}}}}
connectors: {{span_metrics: {{metrics_flush_interval: {}s{connector}}}}}
exporters: {{otlp_grpc: {{endpoint: {agent}, tls: {{insecure: true}}, {exporter}compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [span_metrics, otlp_grpc]}}
    metrics: {{receivers: [span_metrics], exporters: [otlp_grpc]}}
",
            FLUSH.as_secs()
        );
        std::fs::write(directory.path().join("collector.yaml"), yaml).expect("a file in a new directory");
        let mut command = Command::new(program);
        command.arg("--config=collector.yaml");
        let peer = Peer::start("collector", directory, command, &[address]);
        Self::Collector { name, peer, address }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Chainspan(_) => "chainspan",
            Self::Collector { name, .. } => name,
        }
    }

    /// Where it takes OTLP over gRPC.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Chainspan(chainspan) => chainspan.grpc(),
            Self::Collector { address, .. } => *address,
        }
    }

    /// Whether what it has counted leaves only when a timer says so. chainspan's windows would take twenty seconds, and
    /// leave at shutdown if that comes first: it is tested with all of them open.
    pub(crate) fn waits_for_a_timer(&self) -> bool {
        matches!(self, Self::Collector { .. })
    }

    /// How many spans it says were late. The Collector has no such count.
    pub(crate) fn late_spans(&self) -> u64 {
        self.page().map_or(0, |page| sum(&page, "chainspan_late_spans_total", &[]))
    }

    /// Its Prometheus page.
    pub(crate) fn page(&self) -> Option<String> {
        match self {
            Self::Chainspan(chainspan) => Some(chainspan.metrics()),
            Self::Collector { .. } => None,
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(&mut self) {
        match self {
            Self::Chainspan(chainspan) => assert!(chainspan.terminate().success(), "a drain ends with 0"),
            Self::Collector { peer, .. } => assert!(peer.terminate().success(), "{}", peer.log()),
        }
    }
}
