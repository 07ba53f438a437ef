//! Health and status over HTTP, and the readiness that the gRPC health service passes on.
//!
//! Served are `/health`, `/health/ready` (`spec/delivery.md` section 5), `/status` (a documented format)
//! and `/`, which says where everything is.
//!
//! **A thread of its own.** All of this runs on one thread with a small runtime, apart from the one that carries
//! requests: an endpoint that is there to say "that one is stuck" must not need it to say so. For the same reason no
//! health handler asks anybody anything: checks run in the background every 2 s, each with a timeout of 2 s, on a
//! thread that may hang without consequence, and handlers answer from their last results, with their age. `/status`
//! asks, in the same way, and shows the last answer where none comes in time.
//!
//! **What must never happen here**: waiting for a lock that is held where requests are carried; calling the instance
//! unhealthy because something upstream is (an orchestrator would kill the process that holds the data).

mod check;
mod condition;
mod findings;
mod heartbeat;
mod http;
pub(crate) mod letters;
mod lifecycle;
mod monitor;
mod question;
mod report;
mod status;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::future::Future;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use self::condition::Readiness;
pub use self::findings::Exported;
pub use self::letters::{Desk, Socket, SocketError};
pub use self::lifecycle::{IllegalTransition, Lifecycle, Phase};
pub use self::monitor::{Sources, State};

/// The admin thread could not start or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The system gave no thread, runtime or socket.
    #[error("health_check: cannot start the admin thread: {0}")]
    Start(#[from] std::io::Error),
    /// It ended without having been told to: a bug, logged with its panic message.
    #[error("health_check: the admin thread ended unexpectedly; health can no longer be told")]
    Died,
}

/// Runs the checks, and serves HTTP on `listener` when there is one (without `health_check` in the configuration, the
/// gRPC health service still needs the checks), until `shutdown` completes. Must be called on the runtime that carries
/// requests: that is the one that is watched. Dropping the future ends the admin thread too.
pub async fn serve(
    listener: Option<TcpListener>,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), AdminError> {
    let listener = listener.map(TcpListener::into_std).transpose()?;
    let event_loop = Handle::current();
    let (tell, ended) = oneshot::channel();
    // Dropped together with this future.
    let (_alive, abandoned) = oneshot::channel::<()>();
    std::thread::Builder::new().name("chainspan-admin".into()).spawn(move || {
        let result = run(listener, state, event_loop, shutdown, abandoned);
        let _ = tell.send(result);
    })?;
    ended.await.unwrap_or(Err(AdminError::Died))
}

fn run(
    listener: Option<std::net::TcpListener>,
    state: State,
    event_loop: Handle,
    shutdown: impl Future<Output = ()>,
    abandoned: oneshot::Receiver<()>,
) -> Result<(), AdminError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let listener = listener.map(TcpListener::from_std).transpose()?;
        let http = async {
            if let Some(listener) = listener {
                http::serve(listener, state.clone()).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            never = http => match never {},
            never = state.watch_over(&event_loop) => match never {},
            never = state.serve_letters() => match never {},
            () = shutdown => Ok(()),
            _ = abandoned => Ok(()),
        }
    });
    // A check that hangs must not keep the process from ending.
    runtime.shutdown_background();
    result
}
