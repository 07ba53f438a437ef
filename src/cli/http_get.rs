//! `GET` over HTTP/1, for the commands that look at a running chainspan.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, ToSocketAddrs};

/// The largest answer in bytes. The health of 10,000 chains and the metrics of a full demo need far less.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How long a page of the demo's own chainspan may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks `address` for `path`; `host` is the `Host` header. Waits as long as the other side does.
pub(super) async fn get(address: impl ToSocketAddrs, host: &str, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let unreachable = || format!("cannot reach {host}");
    let stream = TcpStream::connect(address).await.with_context(unreachable)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(unreachable)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header(http::header::HOST, host).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await.context("no HTTP answer")?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect().await;
    connection.abort();
    match body {
        Ok(body) => Ok((status, body.to_bytes())),
        Err(error) => bail!("the answer broke off: {error}"),
    }
}

/// The text at `path`, which must be answered with 200 within five seconds.
pub(super) async fn page(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let asked = tokio::time::timeout(PAGE_TIMEOUT, get(address, &address.to_string(), path)).await;
    let (status, body) = asked.with_context(|| format!("no answer from http://{address}{path} within 5 s"))??;
    ensure!(status == StatusCode::OK, "http://{address}{path} answered {status}");
    Ok(String::from_utf8_lossy(&body).into_owned())
}
