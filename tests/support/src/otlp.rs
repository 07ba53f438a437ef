//! OTLP for tests: short builders, and the clients that tonic generates.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// A string attribute.
pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An int attribute.
pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

/// A double attribute.
pub fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

/// A bool attribute.
pub fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

/// An attribute of any type.
pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// A span of `name` in a trace of its own, which took `duration` and ends now.
pub fn span(name: &str, duration: Duration, attributes: Vec<KeyValue>) -> Span {
    let end = now();
    Span {
        trace_id: fastrand::u128(1..).to_be_bytes().to_vec(),
        span_id: fastrand::u64(1..).to_be_bytes().to_vec(),
        name: name.into(),
        kind: 1,
        start_time_unix_nano: end - duration.as_nanos() as u64,
        end_time_unix_nano: end,
        attributes,
        ..Default::default()
    }
}

/// One resource with the service name `service`.
pub fn resource(service: &str) -> Resource {
    Resource { attributes: vec![text("service.name", service)], ..Default::default() }
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "test".into(), ..Default::default() })
}

/// A request of one resource and one scope.
pub fn traces(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..Default::default() }];
    let resource_spans = ResourceSpans { resource: Some(resource(service)), scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

/// A request of one gauge with one point.
pub fn metrics(service: &str, name: &str, value: i64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: now(),
        value: Some(number_data_point::Value::AsInt(value)),
        ..Default::default()
    };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: name.into(), data, ..Default::default() }];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..Default::default() }];
    let resource_metrics = ResourceMetrics { resource: Some(resource(service)), scope_metrics, ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

/// A request of one log record.
pub fn logs(service: &str, body: &str) -> ExportLogsServiceRequest {
    let body = Some(AnyValue { value: Some(Value::StringValue(body.into())) });
    let log_records = vec![LogRecord { time_unix_nano: now(), body, ..Default::default() }];
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..Default::default() }];
    let resource_logs = ResourceLogs { resource: Some(resource(service)), scope_logs, ..Default::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

/// An open connection to `address`.
pub async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URI");
    endpoint.connect().await.unwrap_or_else(|e| panic!("cannot connect to {address}: {e:?}"))
}

/// A client for spans.
pub async fn trace_client(address: SocketAddr) -> TraceServiceClient<Channel> {
    TraceServiceClient::new(connect(address).await)
}

/// A client for metrics.
pub async fn metrics_client(address: SocketAddr) -> MetricsServiceClient<Channel> {
    MetricsServiceClient::new(connect(address).await)
}

/// A client for logs.
pub async fn logs_client(address: SocketAddr) -> LogsServiceClient<Channel> {
    LogsServiceClient::new(connect(address).await)
}

/// Sends spans on a connection of their own and awaits the answer, for tests that are not async.
pub fn send_traces(
    address: SocketAddr,
    request: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { Ok(trace_client(address).await.export(request).await?.into_inner()) })
}
