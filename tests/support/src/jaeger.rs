//! A real Jaeger.

use std::net::SocketAddr;
use std::process::Command;

use crate::peer::{self, Peer};
use crate::port;

/// A Jaeger all-in-one with every port on a free one: itself, where it takes OTLP, where its API is. `environment` is its
/// configuration besides.
pub fn start(environment: &[(&str, String)]) -> Option<(Peer, SocketAddr, SocketAddr)> {
    const OTHERS: [&str; 5] = [
        "--collector.otlp.http.host-port",
        "--query.grpc-server.host-port",
        "--admin.http.host-port",
        "--collector.grpc-server.host-port",
        "--collector.http-server.host-port",
    ];
    let program = peer::find("jaeger")?;
    let (otlp, api) = (port::free(), port::free());
    let mut command = Command::new(program);
    command.arg(format!("--collector.otlp.grpc.host-port={otlp}"));
    command.arg(format!("--query.http-server.host-port={api}"));
    command.args(OTHERS.map(|flag| format!("{flag}={}", port::free())));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Some((Peer::start("jaeger", peer::directory(), command, &[otlp, api]), otlp, api))
}
