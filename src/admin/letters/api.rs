//! What `build.rs` made of `proto/`: messages, the server's trait and the client. Its comments are in the proto file.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]

tonic::include_proto!("chainspan.admin.v1");
