//! `connectors.gateway`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operations::Operations;
use crate::chain::ChainId;
use crate::config::form::{Form, Keys, Naming, Shape, section};
use crate::config::forms::{MOMENT, Names, Optional, Parsed, Ratio, Text, Time, Truth, names, nested, whole};
use crate::config::limits;
use crate::config::output::Yaml;
use crate::config::reader::{Field, Section};
use crate::red::{MetricAttribute, is_reserved_label};

/// A series lives for a few windows at least, so that a pause between two requests does not end it.
const IDLE: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

section! {
    /// Measures every chain: rates, errors, durations, quorum failures. Feeds the pipeline `metrics/gateway`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Gateway {
        /// The prefix of every metric: `avs.gateway` gives `avs_gateway_operations_total` on Prometheus.
        pub namespace: String = "namespace", NAMESPACE, "avs.gateway".to_owned();
        /// Resource attributes that become labels of every metric. A label that the metrics have already, such as
        /// `chain_id`, is refused.
        pub dimensions: Vec<String> = "dimensions", Dimensions, DIMENSIONS.map(str::to_owned).to_vec();
        /// More span names that mean an operation, for example `{task_broadcast: ["fan out task"]}`; upper and lower
        /// case are the same. A span name can mean one operation only.
        pub operations: BTreeMap<String, Vec<String>> = "operations", Operations;
        /// Chains that always keep a label of their own, by chain id, for example
        /// `{11155111: {name: Sepolia, block_time: 12s}}`.
        pub chains: BTreeMap<ChainId, ChainInfo> = "chains", Chains;
        /// How many other chains get a label of their own. Those that come later share the label `other`.
        pub max_chains: usize = "max_chains", whole(0..=10_000), 64;
        /// How many series there may be. Beyond that, values are counted in one overflow series per metric and chain.
        /// Raise it together with `max_chains`: `chainspan check` says how many are needed.
        pub max_series: usize = "max_series", whole(1..=1_000_000), 4096;
        /// A series in which nothing was counted for this long is forgotten.
        pub series_idle: Duration = "series_idle", Time(IDLE), Duration::from_secs(900);
        /// How many example traces are kept per duration series and window, the slowest one among them. 0: none.
        pub exemplars: usize = "exemplars", whole(0..=4), 4;
        /// When a chain is degraded or down.
        pub health: Health = "health", nested();
        /// Whether metrics sent over OTLP carry `chainspan.instance`, the host and port of this process. Without it
        /// several chainspans for one service overwrite each other's values there.
        pub instance: bool = "instance", Truth, true;
        /// Whether every span, operation or not, is also counted for Jaeger's Monitor tab, on Prometheus as
        /// `traces_span_metrics_calls_total` and `traces_span_metrics_duration_milliseconds`. They take a quarter of
        /// `max_series`, so raise it.
        pub span_metrics: bool = "span_metrics", Truth, false;
    }
    check series_fit;
}

section! {
    /// When a chain is degraded or down.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Health {
        /// A chain is degraded when more than this share of its operations fails.
        pub error_ratio: f64 = "error_ratio", Ratio, 0.05;
        /// A chain is degraded when more than this share of its aggregations misses the quorum.
        pub quorum_failure_ratio: f64 = "quorum_failure_ratio", Ratio, 0.02;
        /// A chain that keeps trying without a success for this long is down.
        pub no_success: Duration = "no_success", Time(MOMENT), Duration::from_secs(60);
    }
}

section! {
    /// What is known of one chain.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ChainInfo {
        /// The name of the chain, for display only.
        pub name: Option<String> = "name", Optional(Text("name"));
        /// The mean time between two blocks.
        pub block_time: Option<Duration> = "block_time", Optional(Time(MOMENT));
    }
}

const DIMENSIONS: [&str; 2] = ["service.name", "deployment.environment.name"];

const NAMESPACE: Parsed<String> = Parsed { what: "a name", parse: namespace };

fn namespace(text: &str) -> Result<String, String> {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if text.len() <= 64 && text.split('.').all(word) {
        Ok(text.to_owned())
    } else {
        Err("a namespace is words of letters, digits and \"_\", joined by dots, for example avs.gateway".to_owned())
    }
}

/// Attributes whose labels are different from each other and from those that the metrics have already.
struct Dimensions;

impl Dimensions {
    const NAMES: Names = Names { what: "attribute names", count: 0..=16 };
}

impl Form for Dimensions {
    type Value = Vec<String>;

    fn read(&self, field: &Field<'_>) -> Option<Vec<String>> {
        let names = names(field, &Self::NAMES.count)?;
        // Only gauges have the instance as a label of their own, and there the dimension gets another name.
        let taken = |label: &str| is_reserved_label(label) && label != MetricAttribute::ServiceInstanceId.label();
        let mut labels = Vec::new();
        for (name, item) in names.iter().zip(field.items()?).take(*Self::NAMES.count.end()) {
            let label = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            if taken(&label) || labels.contains(&label) {
                item.problem(format!("its label {label} would exist twice; remove it"));
            }
            labels.push(label);
        }
        Some(names)
    }

    fn write(&self, value: &Vec<String>) -> Yaml {
        Self::NAMES.write(value)
    }

    fn shape(&self) -> Shape {
        Self::NAMES.shape()
    }
}

/// What is known of the chains, by chain id.
struct Chains;

impl Form for Chains {
    type Value = BTreeMap<ChainId, ChainInfo>;

    fn read(&self, field: &Field<'_>) -> Option<BTreeMap<ChainId, ChainInfo>> {
        let mut chains = BTreeMap::new();
        for (key, field) in field.section().all() {
            let info = ChainInfo::read(field.section());
            let canonical = !key.text.starts_with('0') && key.text.bytes().all(|b| b.is_ascii_digit());
            let id = if canonical { key.text.parse().ok().and_then(ChainId::new) } else { None };
            match id {
                Some(id) => {
                    chains.insert(id, info);
                }
                None => field
                    .key_problem(format!("not a chain id; write it as a decimal number from 1 to {}", ChainId::MAX)),
            }
        }
        Some(chains)
    }

    fn write(&self, value: &BTreeMap<ChainId, ChainInfo>) -> Yaml {
        Yaml::map(value.iter().map(|(id, info)| (id.get().to_string(), info.write())))
    }

    fn shape(&self) -> Shape {
        Shape::Named {
            placeholder: "CHAIN_ID",
            names: Naming::Pattern("^[1-9][0-9]*$"),
            each: Box::new(Shape::Section(ChainInfo::keys())),
        }
    }
}

/// The overflow series of every chain must fit into `max_series`.
fn series_fit(gateway: &Gateway, section: &Section<'_>) {
    let Gateway { chains, max_chains, max_series, span_metrics, .. } = gateway;
    if let Err(why) = limits::series(chains.len(), *max_chains, *max_series, *span_metrics)
        && let Some(field) = ["max_series", "max_chains", "chains"].into_iter().find_map(|key| section.get(key))
    {
        field.problem(why);
    }
}
