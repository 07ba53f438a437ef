//! What the server can do with one request.

use std::time::Duration;

use tonic::Code;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Accepts it.
    Accept,
    /// Accepts it and answers so much later, unless the client gives up before.
    Late(Duration),
    /// Answers with a status, with RetryInfo if a delay is given.
    Refuse(Code, &'static str, Option<Duration>),
    /// Accepts all but `.0` spans.
    Partial(i64, &'static str),
    /// Accepts it once it is released, one request per permit.
    Hold,
    /// Drops the TCP connection in the middle of the request.
    Reset,
    /// The same, once it is released.
    HoldThenReset,
    /// Sends GOAWAY after accepting it.
    GoAway,
    /// Never answers.
    BlackHole,
}
