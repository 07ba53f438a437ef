//! The unix socket of a running process.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tokio_stream::wrappers::UnixListenerStream;

use super::{Api, Desk};

/// Where a process whose store is in `directory` listens.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

/// The socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}: {source}; the path of a socket has 107 bytes at most, and nothing else may have this one",
    path.display())]
pub struct SocketError {
    path: PathBuf,
    source: io::Error,
}

/// A socket that is listened on, and what it gives access to. Only the user of this process can open it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    desk: Desk,
}

impl Socket {
    /// Listens. To be called by whoever owns the store in `directory`: a socket that lies there is then one that nobody
    /// listens on any more, and is replaced. It is not removed at the end, because by then another process may have put
    /// its own there.
    ///
    /// # Errors
    /// The path is too long, or is something else than a socket.
    pub fn bind(directory: &Path, desk: Desk) -> Result<Self, SocketError> {
        let path = path(directory);
        let listener = listen(&path).map_err(|source| SocketError { path, source })?;
        Ok(Self { listener, desk })
    }

    /// Serves until dropped.
    pub(in crate::admin) async fn serve(self) {
        let served = async {
            let incoming = UnixListenerStream::new(tokio::net::UnixListener::from_std(self.listener)?);
            let server = tonic::transport::Server::builder();
            server.serve_with_incoming(Api::server(self.desk), incoming).await.map_err(io::Error::other)
        };
        if let Err(error) = served.await {
            tracing::error!("chainspan dlq cannot reach this process any more: {error}");
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
