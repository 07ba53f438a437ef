//! The bodies of answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tonic::Status;

/// `ExportTraceServiceResponse`, `ExportMetricsServiceResponse` and `ExportLogsServiceResponse` without
/// `partial_success`: an empty message, uncompressed, behind its prefix.
const EMPTY_RESPONSE: &[u8] = &[0; 5];

/// The body of an answer.
#[derive(Debug, Default)]
pub(super) enum Reply {
    /// An accepted request: the message comes next.
    Accepted,
    /// An accepted request: the trailers come next.
    Trailers,
    /// Nothing more. With a gRPC status among the headers: gRPC's "trailers only".
    #[default]
    End,
    /// What the health service answers.
    Health(tonic::body::Body),
}

/// An accepted request.
pub(super) fn accepted() -> http::Response<Reply> {
    let mut response = http::Response::new(Reply::Accepted);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

// No size hint: hyper would make a content-length of it, which has no place in gRPC.
impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let (frame, next) = match &mut *self {
            Reply::Accepted => (Frame::data(Bytes::from_static(EMPTY_RESPONSE)), Reply::Trailers),
            Reply::Trailers => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                (Frame::trailers(trailers), Reply::End)
            }
            Reply::End => return Poll::Ready(None),
            Reply::Health(body) => return Pin::new(body).poll_frame(context),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Accepted | Reply::Trailers => false,
            Reply::End => true,
            Reply::Health(body) => body.is_end_stream(),
        }
    }
}
