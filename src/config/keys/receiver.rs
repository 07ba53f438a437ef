//! `receivers.otlp`.

use std::net::SocketAddr;

use crate::config::endpoint::{LISTEN, local};
use crate::config::error::LATER;
use crate::config::form::section;
use crate::config::forms::{mib, nested, whole};
use crate::config::limits;
use crate::config::reader::Section;

const CHOSEN: &str = "not needed, chainspan chooses it; remove it";

section! {
    /// Receives traces, metrics and logs from the gateways.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Receiver {
        /// The protocols that are served.
        pub protocols: Protocols = "protocols", nested();
        /// Memory for the bodies of all requests that are being handled, together. At the limit clients are told to
        /// retry in a moment. A request that is compressed or gets tags is held twice for a moment, so the limit is
        /// at least twice `max_recv_msg_size_mib` plus 8.
        pub memory_limit_bytes: usize = "memory_limit_mib", mib(1..=1_048_576), 256 << 20;
    }
    check fits;
}

section! {
    /// The protocols that are served.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Protocols {
        /// OTLP over gRPC.
        pub grpc: Grpc = "grpc", nested();
    }
    refuse { "http" => LATER; }
}

section! {
    /// OTLP over gRPC.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Grpc {
        /// Where to listen for the gateways: `0.0.0.0:14317` listens on all addresses, port 0 takes a free port. The
        /// Datadog agent on the same machine owns 4317.
        pub endpoint: SocketAddr = "endpoint", LISTEN, local(14317);
        /// The largest request, before and after decompression. A larger one is refused for good: clients must not
        /// retry it.
        pub max_request_bytes: usize = "max_recv_msg_size_mib", mib(1..=2047), 64 << 20;
        /// Requests handled at the same time, per connection.
        pub max_concurrent_streams: u32 = "max_concurrent_streams", whole(1..=100_000), 128;
    }
    refuse {
        "tls", "auth" => LATER;
        "keepalive", "read_buffer_size", "write_buffer_size", "transport", "include_metadata" => CHOSEN;
    }
}

/// The largest request must fit into the memory for all.
fn fits(receiver: &Receiver, section: &Section<'_>) {
    if let Err(why) = limits::memory(receiver.protocols.grpc.max_request_bytes, receiver.memory_limit_bytes) {
        let request = || section.section("protocols").section("grpc").get("max_recv_msg_size_mib");
        if let Some(field) = section.get("memory_limit_mib").or_else(request) {
            field.problem(why);
        }
    }
}
