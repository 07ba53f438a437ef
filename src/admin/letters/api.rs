//! What `tests/house/proto.rs` made of `proto/`: messages, the server's trait and the client. Its comments are in the proto file.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]

include!(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/generated/chainspan.admin.v1.rs"));
