//! Fetches a page over plain HTTP/1.0: enough to scrape a process on the same machine.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A page that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// The connection failed.
    #[error("GET http://{address}{path}: {source}")]
    Io {
        /// Whom we asked.
        address: SocketAddr,
        /// For what.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The answer was not 200.
    #[error("GET http://{address}{path}: answered {answer:?}")]
    Status {
        /// Whom we asked.
        address: SocketAddr,
        /// For what.
        path: String,
        /// The first line of the answer.
        answer: String,
    },
}

/// The body of `GET path`, which must be answered with 200 within 5 s.
pub async fn get(address: SocketAddr, path: &str) -> Result<String, ScrapeError> {
    let failed = |source| ScrapeError::Io { address, path: path.to_owned(), source };
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
        return Err(ScrapeError::Status { address, path: path.to_owned(), answer: first.to_owned() });
    }
    Ok(body.to_owned())
}
