//! The gRPC door: OTLP `Export` for traces, metrics and logs, and `grpc.health.v1.Health`.
//!
//! What happens to a request, in this order (`door`): its path is looked up, its content type checked, then its
//! encoding; a draining server says so; the message is read (`body`) into memory that the budget has given, inflated
//! (`inflate`), and handed to [`Pipeline::accept`], whose answer is the client's (`status` is the table of answers).
//! Nothing here looks inside a message.
//!
//! **Why our own framing.** The transport is hyper's and h2's, as under tonic; tonic's server is not used. Its message
//! decoding gathers every message into a buffer of its own, where we can hand on the bytes as HTTP/2 received them. It
//! knows nothing of a memory budget: it reserves what a client announces. It answers OUT_OF_RANGE to messages beyond its
//! limit, which OTLP clients send again for ever. And each of its layers boxes every request once more. A unary call is a
//! 5-byte prefix and a message: the code that replaces it is smaller than the code that would work around it.
//!
//! **Memory.** Bodies are counted in the budget as they arrive. What is not counted, per connection: one HTTP/2 frame
//! that is still arriving (`MAX_FRAME_BYTES`, 256 KiB), what was read ahead (`socket`, 16 KiB), and
//! `max_concurrent_streams` header lists of at most `MAX_HEADER_BYTES` (16 KiB). DATA that waits to be read is at most
//! `CONNECTION_WINDOW` (2 MiB); every stream is read as soon as it has data, so this only fills while the thread is
//! busy. The number of connections is bounded by the process's limit of open files; when it is reached, accepting
//! pauses, and nothing else does. A client that does not answer pings for `PING_INTERVAL` + `PING_TIMEOUT` is
//! disconnected, also one that stops in the middle of a frame.
//!
//! **What must never happen here**: waiting for memory, buffering beyond the budget, answering OK for anything the
//! pipeline has not answered for.

mod body;
mod connections;
mod deadline;
mod door;
mod health;
mod inflate;
mod reply;
mod socket;
mod status;
mod tally;

use std::future::Future;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use self::door::Door;
use self::health::Health;
use self::tally::Tally;
use crate::admin::Readiness;
use crate::config;
use crate::pipeline::Pipeline;
use crate::telemetry::Telemetry;

/// Serves OTLP over gRPC on `listener` until `shutdown` completes, then refuses new requests (UNAVAILABLE with
/// RetryInfo, GOAWAY), finishes those in hand, and returns when the last connection is closed. How long that may take is
/// the caller's affair: dropping the future closes the listener and every connection. `readiness` is what the health service says.
pub async fn serve(
    listener: TcpListener,
    pipeline: Pipeline,
    settings: &config::Receiver,
    telemetry: &Telemetry,
    readiness: watch::Receiver<Readiness>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (health, reporter) = Health::new();
    let door = Door::new(pipeline, settings.max_request_bytes, Tally::new(telemetry), health);
    let (tell, told) = oneshot::channel::<()>();
    let signal = async {
        shutdown.await;
        door.drain();
        // Nobody listens any more when the server has ended.
        let _ = tell.send(());
    };
    let drained = async {
        // An error means that the server has ended, and we with it.
        let _ = told.await;
    };
    tokio::select! {
        () = connections::serve(listener, door.clone(), settings.max_concurrent_streams, signal) => {}
        never = reporter.follow(readiness, drained) => match never {},
    }
}
