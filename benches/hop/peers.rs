//! Collectors of other people as subjects: where they are, and how each is told to forward what it gets to the sink.
//!
//! Each runs with its defaults but for this: it sends without compression, as everything here does; it takes requests of up
//! to 64 MiB; and the Collector waits when its queue is full, because by default it would refuse what comes then.
//! Both answer before they have delivered, which is their default too.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use chainspan_testing::peer::{self, Peer};
use chainspan_testing::port;

/// A running peer, and where it takes OTLP over gRPC.
pub(crate) struct Running {
    peer: Peer,
    pub(crate) address: SocketAddr,
}

impl Running {
    fn start(name: &str, directory: tempfile::TempDir, command: Command, address: SocketAddr) -> Self {
        Self { peer: Peer::start(name, directory, command, &[address]), address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.peer.pid()
    }
}

/// rotel, OTLP to OTLP. The package brings the program itself; the Python around it is left out.
pub(crate) fn rotel(sink: SocketAddr) -> Result<Running, Box<dyn Error>> {
    let program = find("rotel-agent")?;
    let (address, http) = (port::free(), port::free());
    let mut command = Command::new(program);
    command.args([
        "start",
        "--exporter=otlp",
        "--otlp-exporter-compression=none",
        "--otlp-grpc-max-recv-msg-size-mib=64",
    ]);
    command.arg(format!("--otlp-exporter-endpoint=http://{sink}"));
    command.arg(format!("--otlp-grpc-endpoint={address}"));
    command.arg(format!("--otlp-http-endpoint={http}"));
    Ok(Running::start("rotel", peer::directory(), command, address))
}

/// The OpenTelemetry Collector, OTLP to OTLP; with `span_metrics` it gives every span its `chain_id` and counts it as well, by
/// service, name, kind, status, chain, operation and outcome, in delta exponential histograms that go to the sink once a minute.
pub(crate) fn collector(sink: SocketAddr, span_metrics: bool) -> Result<Running, Box<dyn Error>> {
    let program = find("collector")?;
    let (directory, address) = (peer::directory(), port::free());
    let (additions, processors, exporters, metrics) = match span_metrics {
        true => (TAGS_AND_METRICS, "transform", "span_metrics, otlp_grpc", METRICS_PIPELINE),
        false => ("", "", "otlp_grpc", ""),
    };
    if span_metrics && !can_transform(&program)? {
        let program = program.display();
        return Err(format!("{program} has no transform processor: remove it and run tests/peers/collector.sh").into());
    }
    let yaml = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: {address}, max_recv_msg_size_mib: 64}}}}}}}}
{additions}
exporters:
  otlp_grpc:
    endpoint: {sink}
    tls: {{insecure: true}}
    compression: none
    sending_queue: {{block_on_overflow: true}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [{processors}], exporters: [{exporters}]}}
{metrics}
"
    );
    std::fs::write(directory.path().join("collector.yaml"), yaml)?;
    let mut command = Command::new(program);
    command.arg("--config=collector.yaml");
    Ok(Running::start("collector", directory, command, address))
}

/// Whether the Collector at `program` was built with the processor that tags.
fn can_transform(program: &Path) -> Result<bool, Box<dyn Error>> {
    let components = Command::new(program).arg("components").output()?;
    Ok(String::from_utf8_lossy(&components.stdout).contains("transformprocessor"))
}

/// Tags as chainspan does, and leaves alone what has its tag.
const TAGS_AND_METRICS: &str = "processors:
  transform:
    trace_statements:
      - set(span.attributes[\"chain_id\"], String(span.attributes[\"chain.id\"])) where span.attributes[\"chain_id\"] == nil
connectors:
  span_metrics:
    aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA
    histogram: {exponential: {max_size: 160}}
    dimensions: [{name: chain_id}, {name: avs.operation}, {name: avs.outcome}]";

const METRICS_PIPELINE: &str = "    metrics: {receivers: [span_metrics], exporters: [otlp_grpc]}";

/// Where `program` is: in `$CHAINSPAN_PEERS_DIR`, or else in `target/peers` or where `.ci/run` keeps its peers.
fn find(program: &str) -> Result<PathBuf, Box<dyn Error>> {
    let directories = match std::env::var_os("CHAINSPAN_PEERS_DIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => {
            let home = || std::env::home_dir().map(|home| home.join(".cache"));
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
            let of_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
            [of_tests].into_iter().chain(cache.map(|cache| cache.join("chainspan-peers"))).collect()
        }
    };
    let places = directories.iter().flat_map(|directory| {
        // The folder of Python packages has the version of Python in its path.
        let versions = std::fs::read_dir(directory.join("venv/lib")).into_iter().flatten().flatten();
        let packages = versions.map(|version| version.path().join("site-packages/rotel"));
        [directory.clone(), directory.join("bin")].into_iter().chain(packages)
    });
    let found = places.map(|place| place.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| format!("{program} is not installed; tests/peers/README.md says how").into())
}
