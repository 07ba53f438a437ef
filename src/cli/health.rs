//! `chainspan health`: asks a running chainspan how it is, for container health checks without curl.
//!
//! Answers within two seconds whatever the other side does, and reads no more than a bounded body.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// All of it: name lookup, connecting, asking, reading.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Far more than one entry for each of 10,000 chains.
const MAX_BODY: usize = 4 << 20;

/// Asks a running chainspan how it is, for container health checks
///
/// Prints the verdict (pass, warn or fail) and every check that does not pass.
/// Gives up after 2 seconds. Exit code 0: pass or warn. 1: not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan health --ready --endpoint http://127.0.0.1:13133")]
pub struct HealthArgs {
    /// Ask whether it can accept spans, and not only whether it is alive
    #[arg(long)]
    ready: bool,
    /// Where extensions.health_check listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:13133", value_parser = endpoint)]
    endpoint: Endpoint,
}

/// Host and port of `http://HOST:PORT`.
#[derive(Clone, Debug)]
struct Endpoint {
    authority: String,
    address: String,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    const FORM: &str = "write http://HOST:PORT, for example http://127.0.0.1:13133";
    let uri: Uri = text.parse().map_err(|_| FORM.to_owned())?;
    let (Some("http"), Some(authority), "" | "/", None) = (uri.scheme_str(), uri.authority(), uri.path(), uri.query())
    else {
        return Err(FORM.to_owned());
    };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(FORM.to_owned());
    }
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    Ok(Endpoint { authority: authority.to_string(), address })
}

/// Asks, and prints the answer.
///
/// # Errors
/// The thread that asks could not be set up.
pub fn health(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.ready { "/health/ready" } else { "/health" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { tokio::time::timeout(TIMEOUT, ask(&args.endpoint, path)).await });
    // A name lookup that hangs must not hold the process.
    runtime.shutdown_background();
    let (healthy, text) = match asked {
        Ok(Ok((status, body))) => verdict(status, &body),
        Ok(Err(error)) => (false, format!("fail: {error:#}\n")),
        Err(_) => (false, format!("fail: no answer from {} within {} s\n", args.endpoint.authority, TIMEOUT.as_secs())),
    };
    super::say(&text)?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(endpoint: &Endpoint, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let whom = || format!("cannot reach {}", endpoint.authority);
    let stream = TcpStream::connect(&endpoint.address).await.with_context(whom)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(whom)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header(http::header::HOST, &endpoint.authority).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await.context("no HTTP answer")?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
    connection.abort();
    match body {
        Ok(body) => Ok((status, body.to_bytes())),
        Err(error) => bail!("the answer broke off: {error}"),
    }
}

/// Whether `application/health+json` in `body` means healthy, and the text for a person.
fn verdict(code: StatusCode, body: &[u8]) -> (bool, String) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return (false, format!("fail: the answer ({code}) is not application/health+json; is this chainspan?\n"));
    };
    let Some(status @ ("pass" | "warn" | "fail")) = body["status"].as_str() else {
        return (false, format!("fail: the answer ({code}) holds no status; is this chainspan?\n"));
    };
    let checks: Vec<(&str, &Value)> = body["checks"].as_object().map_or_else(Vec::new, |checks| {
        checks.iter().flat_map(|(name, entry)| entries(entry).map(move |entry| (name.as_str(), entry))).collect()
    });
    let failing: Vec<_> = checks.iter().filter(|(_, check)| check["status"].as_str() != Some("pass")).collect();
    let healthy = status != "fail" && code.is_success();
    let status = if healthy { status } else { "fail" };
    let output = body["output"].as_str().filter(|output| failing.is_empty() && !output.is_empty());
    let mut text = match output {
        Some(output) => format!("{status}: {}\n", plain(output)),
        None => format!("{status}: {} of {} checks pass\n", checks.len() - failing.len(), checks.len()),
    };
    for (name, check) in failing {
        let state = check["status"].as_str().unwrap_or("no status");
        let why = check["output"].as_str().map(|why| format!(": {}", plain(why))).unwrap_or_default();
        writeln!(text, "  {}: {}{why}", plain(name), plain(state)).expect("writing to a String cannot fail");
    }
    (healthy, text)
}

/// A check is one entry or a list of them.
fn entries(check: &Value) -> impl Iterator<Item = &Value> {
    match check {
        Value::Array(entries) => entries.iter(),
        entry => std::slice::from_ref(entry).iter(),
    }
}

/// One line without control characters, so that no answer can write to the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
