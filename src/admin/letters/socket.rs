//! The unix socket of a running process.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tokio_stream::wrappers::UnixListenerStream;

use super::access::DeadLetterAdmin;
use super::service::Api;

/// The socket of the process whose store is in `directory`.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

/// The socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}: {source}; the path of a socket has 107 bytes at most, and nothing else may be there",
    path.display())]
pub struct AdminSocketError {
    path: PathBuf,
    source: io::Error,
}

/// A listening socket that gives access to the dead letters. Only the user of this process can connect.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    admin: DeadLetterAdmin,
}

impl AdminSocket {
    /// Listens. The caller must own the store in `directory`: then nobody listens on a socket that is already there, and it
    /// is replaced. It is not removed at the end, because another process may have put its own there by then.
    ///
    /// # Errors
    /// The path is too long, or something other than a socket is there.
    pub fn bind(directory: &Path, admin: DeadLetterAdmin) -> Result<Self, AdminSocketError> {
        let path = path(directory);
        let listener = listen(&path).map_err(|source| AdminSocketError { path, source })?;
        Ok(Self { listener, admin })
    }

    /// Serves until dropped.
    pub(in crate::admin) async fn serve(self) {
        let served = async {
            let incoming = UnixListenerStream::new(tokio::net::UnixListener::from_std(self.listener)?);
            let server = tonic::transport::Server::builder();
            server.serve_with_incoming(Api::server(self.admin), incoming).await.map_err(io::Error::other)
        };
        if let Err(error) = served.await {
            tracing::error!(
                "the admin socket failed, chainspan dlq cannot reach this process until it is restarted: {error}"
            );
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
