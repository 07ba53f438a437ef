//! One request: read whole, judged, answered.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::act::Act;
use super::listener::{Cut, Judge, Shared};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The gRPC path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The message, decompressed.
    pub body: Bytes,
    /// When its connection was opened.
    pub opened: Instant,
}

/// The length prefix of a gRPC message.
const PREFIX: usize = 5;

pub(super) async fn answer<J: Judge>(
    (request, opened): (http::Request<h2::RecvStream>, Instant),
    mut respond: h2::server::SendResponse<Bytes>,
    shared: Arc<Shared<J>>,
    cut: watch::Sender<Option<Cut>>,
) {
    let (head, mut stream) = request.into_parts();
    let mut framed = BytesMut::new();
    while let Some(chunk) = stream.data().await {
        let Ok(chunk) = chunk else { return };
        let _ = stream.flow_control().release_capacity(chunk.len());
        framed.extend_from_slice(&chunk);
    }
    if framed.len() < PREFIX {
        return;
    }
    let body = unpack(framed.freeze(), head.headers.get("grpc-encoding"));
    let path = head.uri.path().to_owned();
    let (act, ticket) = shared.judge.arrived(Request { path, headers: head.headers, body, opened });
    let mut partial_success = None;
    match act {
        Act::Accept => {}
        Act::Late(delay) => tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = std::future::poll_fn(|context| respond.poll_reset(context)) => return,
        },
        Act::Hold => shared.held.acquire().await.expect("never closed").forget(),
        Act::GoAway => drop(cut.send_replace(Some(Cut::GoAway))),
        Act::Partial(rejected_spans, message) => {
            partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: message.to_owned() });
        }
        Act::Refuse(code, message, delay) => return refuse(&mut respond, code, message, delay),
        Act::HoldThenReset => {
            shared.held.acquire().await.expect("never closed").forget();
            cut.send_replace(Some(Cut::Now));
            return;
        }
        Act::Reset => {
            cut.send_replace(Some(Cut::Now));
            return;
        }
        Act::BlackHole => return std::future::pending().await,
    }
    shared.judge.accepted(&ticket);
    if accept(&mut respond, partial_success).is_ok() {
        shared.judge.answered(ticket);
    }
}

fn accept(
    respond: &mut h2::server::SendResponse<Bytes>,
    partial_success: Option<ExportTracePartialSuccess>,
) -> Result<(), h2::Error> {
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    Status::ok("").add_header(&mut trailers).expect("OK is a valid trailer");
    let mut sending = respond.send_response(head(HeaderMap::new()), false)?;
    sending.send_data(frame.freeze(), false)?;
    sending.send_trailers(trailers)
}

fn refuse(
    respond: &mut h2::server::SendResponse<Bytes>,
    code: Code,
    message: &str,
    delay: Option<std::time::Duration>,
) {
    let status = match delay {
        None => Status::new(code, message),
        delay => Status::with_error_details(code, message, ErrorDetails::with_retry_info(delay)),
    };
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).expect("a text of ours is a valid header");
    let _ = respond.send_response(head(headers), true);
}

fn head(headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn unpack(framed: Bytes, encoding: Option<&HeaderValue>) -> Bytes {
    let message = framed.slice(PREFIX..);
    match (framed[0], encoding.map(HeaderValue::as_bytes)) {
        (0, _) => message,
        (1, Some(b"gzip")) => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&message[..]).read_to_end(&mut plain).expect("gzip");
            plain.into()
        }
        (1, Some(b"zstd")) => zstd::stream::decode_all(&message[..]).expect("zstd").into(),
        other => panic!("compressed, but how? {other:?}"),
    }
}
