//! The effective configuration: read, checked and filled in with defaults. The rooms of the program are built from it.

use std::time::Duration;

use super::keys::{Chain, Destination, FileStorage, Gateway, HealthCheck, Logs, Prometheus, Receiver, Signals};

/// Everything that `chainspan run` needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `receivers.otlp`.
    pub receiver: Receiver,
    /// `processors.chain`; absent from the traces pipeline: spans are neither tagged nor resolved.
    pub chain: Option<Chain>,
    /// `connectors.gateway`; absent from the traces pipeline: nothing is measured.
    pub gateway: Option<Gateway>,
    /// Every `exporters.otlp/NAME` that a pipeline names, in the order of the file.
    pub destinations: Vec<Destination>,
    /// `exporters.prometheus`, when the `metrics/gateway` pipeline names it.
    pub prometheus: Option<Prometheus>,
    /// `extensions.health_check`, when `service.extensions` names it.
    pub health_check: Option<HealthCheck>,
    /// `extensions.file_storage`, when `service.extensions` names it: where requests and dead letters are kept. Absent: what
    /// is not delivered goes back to the client.
    pub file_storage: Option<FileStorage>,
    /// `service.telemetry.logs`.
    pub logs: Logs,
    /// `service.shutdown_timeout`: how long a drain may take.
    pub shutdown_timeout: Duration,
}

/// One pipeline: names of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow<'a> {
    /// Where it begins.
    pub receivers: Vec<&'a str>,
    /// What happens on the way.
    pub processors: Vec<&'a str>,
    /// Where it ends.
    pub exporters: Vec<&'a str>,
}

impl<'a> Flow<'a> {
    fn new(receivers: Vec<&'a str>, processors: Vec<&'a str>, exporters: Vec<&'a str>) -> Self {
        Self { receivers, processors, exporters }
    }
}

impl Config {
    /// The pipelines by name, in the order of the way of the data.
    pub fn flows(&self) -> Vec<(&'static str, Flow<'_>)> {
        let to = |takes: fn(&Signals) -> bool| {
            let taking = self.destinations.iter().filter(|each| takes(&each.signals));
            taking.map(|each| each.name.as_str()).collect::<Vec<_>>()
        };
        let gateway = || self.gateway.iter().map(|_| "gateway");
        let chain = self.chain.iter().map(|_| "chain").collect();
        let prometheus = self.prometheus.iter().map(|_| "prometheus");
        let measured = to(|signals| signals.derived).into_iter().chain(prometheus).collect();
        let otlp = || vec!["otlp"];
        let all = [
            ("traces", Flow::new(otlp(), chain, gateway().chain(to(|signals| signals.traces)).collect())),
            ("metrics/gateway", Flow::new(gateway().collect(), vec![], measured)),
            ("metrics", Flow::new(otlp(), vec![], to(|signals| signals.metrics))),
            ("logs", Flow::new(otlp(), vec![], to(|signals| signals.logs))),
        ];
        all.into_iter().filter(|(_, flow)| !flow.exporters.is_empty()).collect()
    }
}
