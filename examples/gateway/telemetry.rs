//! Setting the SDK up: once per process.

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Keeps the exporter; shut it down before the process ends.
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
}

/// Sends every `tracing` span of this process to `endpoint`.
pub(crate) fn init(endpoint: &str) -> anyhow::Result<Telemetry> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_compression(Compression::Gzip)
        .build()
        .with_context(|| format!("cannot export to {endpoint}"))?;

    // The resource says which process this is. No chain here: one process serves many, so the chain is on the span.
    let resource = Resource::builder()
        .with_service_name("example-gateway")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", std::process::id().to_string()))
        .with_attribute(KeyValue::new("deployment.environment.name", "example"))
        .build();

    // Batches, never one request per span; every span, never a sample: what is not exported is not measured.
    let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();

    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("example-gateway"))
        // An error log inside a span would mark the whole span as failed, even if the next attempt succeeds. The outcome
        // is said explicitly instead (`avs.outcome`, see operations.rs).
        .with_error_events_to_status(false)
        // File, line and thread on every span cost more than the rest of it.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    // Spans of INFO and above, of this gateway alone: the exporter's own HTTP/2 spans would be exported in their turn.
    let own = tracing_subscriber::filter::Targets::new().with_target("gateway", tracing::Level::INFO);
    tracing_subscriber::registry().with(own).with(layer).try_init()?;
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Exports what is still waiting and closes the connection. Blocks.
    pub(crate) fn shut_down(self) -> anyhow::Result<()> {
        self.provider.force_flush().context("the last spans were not accepted")?;
        self.provider.shutdown().context("the exporter did not end well")
    }
}
