//! A `GET` over plain HTTP/1.0: enough to scrape a process on the same machine.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a page could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum HttpGetError {
    /// The connection failed.
    #[error("GET http://{address}{path}: {source}")]
    Io {
        /// The server.
        address: SocketAddr,
        /// The path.
        path: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The answer was not 200.
    #[error("GET http://{address}{path}: answered {answer:?}")]
    Status {
        /// The server.
        address: SocketAddr,
        /// The path.
        path: String,
        /// The first line of the answer.
        answer: String,
    },
}

/// Returns the body of `GET path`, which must be answered with 200 within 5 s.
pub async fn http_get(address: SocketAddr, path: &str) -> Result<String, HttpGetError> {
    let failed = |source| HttpGetError::Io { address, path: path.to_owned(), source };
    let fetch = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), fetch)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let first = head.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(HttpGetError::Status { address, path: path.to_owned(), answer: first.to_owned() });
    }
    Ok(body.to_owned())
}
