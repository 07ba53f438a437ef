//! The pipelines of a configuration, seen from its result: for printing it and for telling a person what would run.

use super::types::{Config, Signals};

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
    /// Which signals have a pipeline: the others are not received.
    pub fn signals(&self) -> Signals {
        Signals {
            traces: self.gateway.is_some() || self.destinations.iter().any(|each| each.signals.traces),
            metrics: self.destinations.iter().any(|each| each.signals.metrics),
            logs: self.destinations.iter().any(|each| each.signals.logs),
            derived: self.gateway.is_some(),
        }
    }

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
