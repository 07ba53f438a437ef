//! A real Prometheus that scrapes chainspan.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::http_get;
use crate::peer::{self, Peer};
use crate::port;

/// A Prometheus that scrapes `target` twice a second and keeps exemplars, and where its API is.
pub fn start(target: SocketAddr) -> Option<(Peer, SocketAddr)> {
    let program = peer::find("prometheus")?;
    let directory = peer::directory();
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 450ms}}
scrape_configs: [{{job_name: chainspan, static_configs: [{{targets: ['{target}']}}]}}]
"
    );
    std::fs::write(directory.path().join("prometheus.yml"), config).expect("a file in a new directory");
    let api = port::free();
    let mut command = Command::new(program);
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=debug"]);
    command.arg("--enable-feature=exemplar-storage");
    command.arg(format!("--web.listen-address={api}"));
    let prometheus = Peer::start("prometheus", directory, command, &[api]);
    peer::eventually("Prometheus is ready", || http_get::get(api, "/-/ready", &[]).ok().filter(|a| a.status == 200));
    Some((prometheus, api))
}

/// The series that `query` gives at this moment.
pub fn query(api: SocketAddr, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/query?query={}", http_get::encode(query));
    let answer = http_get::get(api, &path, &[]).unwrap_or_else(|e| panic!("GET {path}: {e}")).json();
    answer["data"]["result"].as_array().cloned().unwrap_or_default()
}

/// The one value that `query` gives, once it gives any.
pub fn value(api: SocketAddr, text: &str) -> f64 {
    let result = peer::eventually(text, || Some(query(api, text)).filter(|r| !r.is_empty()));
    assert_eq!(result.len(), 1, "{text}: {result:?}");
    result[0]["value"][1].as_str().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{text}: {result:?}"))
}
