//! Datadog's own test agent, standing in for the Datadog agent: its OTLP port takes what the real one takes, and its HTTP
//! port gives it back as JSON.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::http_get;
use crate::peer::{self, Peer};
use crate::port;

/// A running `ddapm-test-agent`.
pub struct Agent {
    _peer: Peer,
    http: SocketAddr,
    /// Where it takes OTLP over gRPC.
    pub grpc: SocketAddr,
    /// A Python with the OpenTelemetry SDK.
    pub python: PathBuf,
}

impl Agent {
    /// Starts one; `None` when it is not installed and need not be.
    pub fn start() -> Option<Self> {
        let program = peer::find("ddapm-test-agent")?;
        let [datadog, http, grpc] = [port::free(), port::free(), port::free()];
        let mut command = Command::new(&program);
        for (flag, port) in [("--port", datadog), ("--otlp-http-port", http), ("--otlp-grpc-port", grpc)] {
            command.arg(flag).arg(port.port().to_string());
        }
        command.args(["--web-ui-port", "0"]);
        let peer = Peer::start("ddapm-test-agent", peer::directory(), command, &[http, grpc]);
        Some(Self { _peer: peer, http, grpc, python: peer::python(&program) })
    }

    /// What it has received: `traces`, `metrics` or `logs`, as a list of export requests.
    pub fn received(&self, signal: &str) -> Vec<Value> {
        let path = format!("/test/session/{signal}");
        let answer = http_get::get(self.http, &path, &[]).unwrap_or_else(|e| panic!("GET {path}: {e}"));
        match answer.json() {
            Value::Array(requests) => requests,
            other => panic!("GET {path}: not a list: {other}"),
        }
    }

    /// Every span it has received, with the service it came from.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in self.received("traces") {
            for resource in list(&request["resource_spans"]) {
                let service = attribute(&resource["resource"], "service.name");
                for span in list(&resource["scope_spans"]).iter().flat_map(|s| list(&s["spans"])) {
                    let service = service.and_then(|v| v["string_value"].as_str()).unwrap_or_default().to_owned();
                    spans.push(Span { service, json: span.clone() });
                }
            }
        }
        spans
    }
}

/// A span as the agent shows it.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of its resource.
    pub service: String,
    /// The rest.
    pub json: Value,
}

impl Span {
    /// Its name.
    pub fn name(&self) -> &str {
        self.json["name"].as_str().unwrap_or_default()
    }

    /// The values of all its attributes with the key `key`.
    pub fn attributes(&self, key: &str) -> Vec<&Value> {
        list(&self.json["attributes"]).iter().filter(|a| a["key"] == key).map(|a| &a["value"]).collect()
    }

    /// The string value of the attribute `key`; `None` when it is absent, no string, or there twice.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attributes(key).as_slice() {
            [value] => value["string_value"].as_str(),
            _ => None,
        }
    }
}

/// The items of a JSON list; none when it is absent.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn attribute<'a>(holder: &'a Value, key: &str) -> Option<&'a Value> {
    list(&holder["attributes"]).iter().find(|a| a["key"] == key).map(|a| &a["value"])
}
