//! Which components there are, and what to say of those that a user of the Collector may miss.

use super::error::suggest;

/// The sections that define components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Receiver,
    Processor,
    Connector,
    Exporter,
    Extension,
}

/// A component that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Otlp,
    Chain,
    Gateway,
    Destination,
    Prometheus,
    HealthCheck,
    FileStorage,
}

/// Every component, the section that it is defined in, and its name there.
pub(super) const COMPONENTS: [(Component, Kind, &str); 7] = [
    (Component::Otlp, Kind::Receiver, "otlp"),
    (Component::Chain, Kind::Processor, "chain"),
    (Component::Gateway, Kind::Connector, "gateway"),
    (Component::Destination, Kind::Exporter, "otlp/NAME"),
    (Component::Prometheus, Kind::Exporter, "prometheus"),
    (Component::HealthCheck, Kind::Extension, "health_check"),
    (Component::FileStorage, Kind::Extension, "file_storage"),
];

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::Receiver, Self::Processor, Self::Connector, Self::Exporter, Self::Extension];

    /// The key of the section.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Connector => "connectors",
            Self::Exporter => "exporters",
            Self::Extension => "extensions",
        }
    }

    /// The component called `name`.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(super) fn component(self, name: &str) -> Result<Component, String> {
        if (self, name) == (Self::Exporter, "otlp") {
            return Err("give the destination a name, for example otlp/datadog".to_owned());
        }
        if let Some((component, ..)) = COMPONENTS.iter().find(|(_, kind, known)| (*kind, *known) == (self, name)) {
            return Ok(*component);
        }
        let (component, label) = name.split_once('/').unwrap_or((name, ""));
        if (self, component) == (Self::Exporter, "otlp") {
            let valid = label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            return if valid && !label.is_empty() && label.len() <= 64 {
                Ok(Component::Destination)
            } else {
                Err("the name after \"otlp/\" is made of letters, digits, \"-\", \"_\" and \".\", 64 at most"
                    .to_owned())
            };
        }
        if let Some((_, _, why)) = REFUSED.iter().find(|(kind, refused, _)| (*kind, *refused) == (self, component)) {
            return Err((*why).to_owned());
        }
        let mut names = self.names();
        if names.any(|known| known == component) {
            return Err(format!("there is only one \"{component}\"; remove the name after it"));
        }
        Err(format!("unknown component; {}", suggest(name, self.names(), "the components here are")))
    }

    /// Names for suggestions.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let datadog = (self == Self::Exporter).then_some("otlp/datadog");
        datadog
            .into_iter()
            .chain(COMPONENTS.into_iter().filter(move |(_, kind, _)| *kind == self).map(|(.., name)| name))
    }
}

const OTLP_ONLY: &str = "chainspan receives OTLP only; remove it, or let a Collector in front translate";
const NO_CHANGES: &str =
    "chainspan forwards spans as they came, with their chain added; remove it, or change them in the agent";
const NO_SAMPLING: &str = "chainspan measures and forwards every span; remove it, and sample in the agent";
const OTLP_OUT: &str = "chainspan sends OTLP over gRPC only; use exporters.otlp/NAME";
const NO_AUTH: &str = "credentials are not available in this version; remove it";

/// Components of the Collector that are not ours.
const REFUSED: &[(Kind, &str, &str)] = &[
    (Kind::Receiver, "jaeger", OTLP_ONLY),
    (Kind::Receiver, "zipkin", OTLP_ONLY),
    (Kind::Receiver, "datadog", OTLP_ONLY),
    (Kind::Receiver, "kafka", OTLP_ONLY),
    (Kind::Receiver, "prometheus", OTLP_ONLY),
    (Kind::Receiver, "hostmetrics", "chainspan does not look at the host, the Datadog agent does; remove it"),
    (Kind::Receiver, "filelog", "chainspan reads no files, the Datadog agent does; remove it"),
    (Kind::Processor, "batch", "not needed, chainspan coalesces on the way out; remove it"),
    (Kind::Processor, "memory_limiter", "not needed, receivers.otlp.memory_limit_mib bounds the memory; remove it"),
    (Kind::Processor, "resource", NO_CHANGES),
    (Kind::Processor, "resourcedetection", NO_CHANGES),
    (Kind::Processor, "attributes", NO_CHANGES),
    (Kind::Processor, "transform", NO_CHANGES),
    (Kind::Processor, "filter", NO_CHANGES),
    (Kind::Processor, "redaction", NO_CHANGES),
    (Kind::Processor, "span", NO_CHANGES),
    (Kind::Processor, "k8sattributes", NO_CHANGES),
    (Kind::Processor, "groupbytrace", "not needed, spans of a trace are kept together as they came; remove it"),
    (Kind::Processor, "groupbyattrs", NO_CHANGES),
    (Kind::Processor, "probabilistic_sampler", NO_SAMPLING),
    (Kind::Processor, "tail_sampling", NO_SAMPLING),
    (Kind::Connector, "spanmetrics", "connectors.gateway measures spans per chain; use it instead"),
    (Kind::Connector, "datadog", "the Datadog agent computes its own statistics; remove it"),
    (Kind::Connector, "forward", "pipelines do not feed each other; name every exporter in the pipeline itself"),
    (Kind::Connector, "routing", "every exporter of a pipeline gets everything; remove it"),
    (Kind::Connector, "servicegraph", "connectors.gateway is the one connector; remove it"),
    (Kind::Connector, "count", "connectors.gateway counts spans per chain; use it instead"),
    (Kind::Exporter, "debug", "to watch spans go by, send them to Jaeger: exporters.otlp/jaeger with role: debug"),
    (Kind::Exporter, "logging", "to watch spans go by, send them to Jaeger: exporters.otlp/jaeger with role: debug"),
    (Kind::Exporter, "jaeger", "Jaeger takes OTLP; use exporters.otlp/jaeger with role: debug"),
    (Kind::Exporter, "datadog", "send to the OTLP port of the Datadog agent; use exporters.otlp/datadog"),
    (Kind::Exporter, "otlphttp", OTLP_OUT),
    (Kind::Exporter, "otlp_http", OTLP_OUT),
    (Kind::Exporter, "otlp_grpc", "use exporters.otlp/NAME"),
    (Kind::Exporter, "zipkin", OTLP_OUT),
    (Kind::Exporter, "kafka", OTLP_OUT),
    (Kind::Exporter, "file", OTLP_OUT),
    (Kind::Exporter, "nop", "an exporter that drops everything; leave it out of the pipeline instead"),
    (Kind::Exporter, "loadbalancing", "name several exporters.otlp/NAME; each of them gets everything"),
    (Kind::Exporter, "prometheusremotewrite", "let Prometheus scrape exporters.prometheus instead"),
    (Kind::Extension, "basicauth", NO_AUTH),
    (Kind::Extension, "bearertokenauth", NO_AUTH),
    (Kind::Extension, "oidc", NO_AUTH),
    (Kind::Extension, "pprof", "there is no profile endpoint; remove it"),
    (Kind::Extension, "zpages", "extensions.health_check answers /status; use it instead"),
    (Kind::Extension, "memory_ballast", "not needed, there is no garbage collector; remove it"),
];
