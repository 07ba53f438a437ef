//! The code for the admin API is what its generator makes of `proto/`.
//!
//! `CHAINSPAN_WRITE_PROTO=1 cargo test --test admin generated` writes it anew.

use std::path::Path;

const PROTO: &str = "chainspan/admin/v1/dead_letters.proto";
const CODE: &str = "src/admin/letters/chainspan.admin.v1.rs";
const WRITE: &str = "CHAINSPAN_WRITE_PROTO";

#[test]
fn the_code_in_the_repository_is_made_of_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([PROTO], [root.join("proto")]).expect("sound proto files");
    let directory = tempfile::tempdir().expect("a directory");
    // Both ends speak over a socket of ours: neither needs to know how to dial.
    let generator = tonic_prost_build::configure().build_transport(false).bytes(".").out_dir(directory.path());
    generator.compile_fds(descriptors).expect("generated");
    let made = directory.path().join("chainspan.admin.v1.rs");
    if std::env::var_os(WRITE).is_some() {
        std::fs::copy(&made, root.join(CODE)).expect("written");
    }
    let (made, ours) = (std::fs::read_to_string(made), std::fs::read_to_string(root.join(CODE)));
    assert!(
        made.expect("made") == ours.unwrap_or_default(),
        "{CODE} is out of date: {WRITE}=1 cargo test --test admin generated"
    );
}
