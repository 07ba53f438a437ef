//! OTLP over gRPC: `Export` for traces, metrics and logs, and `grpc.health.v1.Health`.
//!
//! ```text
//! serve ─► connections: HTTP/2 ─► grpc: path, content type, encoding, draining?
//!       ─► body: one message, into memory that the budget has given ─► inflate ─► Pipeline::accept ─► status or reply
//! ```
//!
//! `status` is the table of answers; nothing here looks inside a message.
//!
//! **Why our own framing.** The transport is hyper's and h2's, as under tonic; tonic's server is not used. Its message
//! decoding gathers every message into a buffer of its own, where we can hand on the bytes as HTTP/2 received them. It
//! knows nothing of a memory budget: it reserves what a client announces. It answers OUT_OF_RANGE to messages beyond its
//! limit, which OTLP clients send again for ever. And each of its layers boxes every request once more. A unary call is a
//! 5-byte prefix and a message: the code that replaces it is smaller than the code that would work around it.
//!
//! **Memory.** Bodies are counted in the budget as they arrive. What is not counted, per connection: one HTTP/2 frame
//! that is still arriving (`MAX_FRAME_BYTES`, 256 KiB), the buffer that is read into (`READ_AHEAD_BYTES`, 16 KiB), and
//! `max_concurrent_streams` header lists of at most `MAX_HEADER_BYTES` (16 KiB). DATA that waits to be read is at most
//! `CONNECTION_WINDOW_BYTES` (2 MiB); every stream is read as soon as it has data, so this only fills while the thread is
//! busy. The number of connections is bounded by the process's limit of open files; when it is reached, accepting
//! pauses, and nothing else does. A client that does not answer a ping, sent every `PING_INTERVAL`, within `PING_TIMEOUT`
//! is disconnected, also one that stops in the middle of a frame.
//!
//! **What must never happen here**: waiting for memory, buffering beyond the budget, answering OK for anything the
//! pipeline has not answered for.

mod body;
mod buffer;
mod connections;
mod deadline;
mod encoding;
mod failures;
#[cfg(not(chainspan_whole))]
pub(crate) mod fuzzing;
mod grpc;
mod health;
mod inflate;
mod reply;
mod serve;
mod status;

pub use serve::serve;
