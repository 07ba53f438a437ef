//! `chainspan health`: checks the health of a running chainspan, for container health checks without curl.
//!
//! It answers within two seconds whatever the other side does, and reads a bounded answer.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use http::{StatusCode, Uri};
use serde_json::Value;

use super::http_get;
use super::output::say;

/// For everything together: name lookup, connecting, the request, reading the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Check the health of a running chainspan
///
/// Prints the verdict (pass, warn or fail) and every check that does not pass.
/// Gives up after 2 seconds. Exit code 0: pass or warn. 1: fail, or no answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan health --ready --endpoint http://127.0.0.1:13133")]
pub struct HealthArgs {
    /// Check whether it can accept spans, not only whether it is alive
    #[arg(long)]
    ready: bool,
    /// The address of extensions.health_check
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

/// Runs the command.
///
/// # Errors
/// The request could not be prepared, or the result could not be written.
pub fn health(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.ready { "/health/ready" } else { "/health" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async {
        tokio::time::timeout(TIMEOUT, http_get::get(&args.endpoint.address, &args.endpoint.authority, path)).await
    });
    // A name lookup that hangs must not keep the process alive.
    runtime.shutdown_background();
    let (healthy, text) = match asked {
        Ok(Ok((status, body))) => verdict(status, &body),
        Ok(Err(error)) => (false, format!("fail: {error:#}\n")),
        Err(_) => (false, format!("fail: no answer from {} within {} s\n", args.endpoint.authority, TIMEOUT.as_secs())),
    };
    say(&text)?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether `application/health+json` in `body` means healthy, and the text for a person.
fn verdict(code: StatusCode, body: &[u8]) -> (bool, String) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return (false, format!("fail: the answer ({code}) is not application/health+json; is this chainspan?\n"));
    };
    let Some(status @ ("pass" | "warn" | "fail")) = body["status"].as_str() else {
        return (false, format!("fail: the answer ({code}) has no status; is this chainspan?\n"));
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
