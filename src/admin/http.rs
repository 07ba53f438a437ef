//! The HTTP endpoint: which path gets which answer.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tokio::net::TcpListener;

use super::monitor::Monitor;
use super::report::{Probe, report};
use super::status::status;
use crate::net::{self, Http1Limits};

/// A connection carries one request and one answer, and lasts 10 s at the most.
const LIMITS: Http1Limits = Http1Limits {
    component: "health_check",
    max_connections: 256,
    head_timeout: Duration::from_secs(5),
    keep_alive: false,
    lifetime: Duration::from_secs(9),
};

const HELP: &str =
    "unknown path; this endpoint has /, /health, /health/ready and /status (metrics are on the Prometheus endpoint)\n";

/// Serves until dropped.
pub(super) async fn serve(listener: TcpListener, monitor: Monitor) {
    let answer = move |request: Parts| {
        let monitor = monitor.clone();
        async move { answer(&request, &monitor).await }
    };
    net::serve(listener, LIMITS, answer, std::future::pending()).await;
}

async fn answer(request: &Parts, monitor: &Monitor) -> Response<Full<Bytes>> {
    let probe = match request.uri.path() {
        "/health" => Probe::Liveness,
        "/health/ready" => Probe::Readiness,
        "/status" => {
            return json(StatusCode::OK, "application/json", status(monitor).await);
        }
        "/" => return response(StatusCode::OK, "text/html; charset=utf-8", front_page(monitor)),
        _ => return response(StatusCode::NOT_FOUND, TEXT, HELP),
    };
    let (health, written) = report(monitor, probe);
    json(health.code(), "application/health+json", written)
}

fn json(code: StatusCode, kind: &'static str, written: serde_json::Result<String>) -> Response<Full<Bytes>> {
    match written {
        Ok(json) => response(code, kind, json),
        Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn response(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = net::response(code, HeaderValue::from_static(kind), body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn front_page(monitor: &Monitor) -> String {
    let metrics = match monitor.listening().get("prometheus") {
        Some(address) => format!("<a href=\"http://{address}/metrics\">http://{address}/metrics</a>"),
        None => "not served: no pipeline names the prometheus exporter".to_owned(),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>chainspan</title></head><body>\n\
         <h1>chainspan {version}</h1>\n<ul>\n\
         <li><a href=\"/status\">/status</a>: where every span is</li>\n\
         <li><a href=\"/health\">/health</a>: whether the process works</li>\n\
         <li><a href=\"/health/ready\">/health/ready</a>: whether requests should be sent here</li>\n\
         <li>metrics: {metrics}</li>\n</ul>\n</body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}
