//! The code of `proto/` is in the tree, so that whoever builds chainspan needs neither protoc nor the crates that replace it.

use std::path::Path;

use tempfile::TempDir;

/// The admin API.
const PROTO: &str = "chainspan/admin/v1/dead_letters.proto";
const GENERATED: &str = "chainspan.admin.v1.rs";

/// `proto/generated` is what the generators make of `proto/` today. `CHAINSPAN_WRITE_PROTO=1 cargo test --test house proto`
/// writes it anew.
#[test]
fn the_generated_code_is_that_of_the_proto_files() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let out = TempDir::with_prefix("proto-").expect("a directory");
    let descriptors = protox::compile([PROTO], [&proto]).expect("a correct file");
    // Both ends speak over a socket of ours: neither needs to know how to dial.
    let generator = tonic_prost_build::configure().build_transport(false).bytes(".").out_dir(out.path());
    generator.compile_fds(descriptors).expect("it can be written");
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let (new, kept) = (text(&out.path().join(GENERATED)), proto.join("generated").join(GENERATED));
    assert!(new.contains("pub struct Letter"), "{new}");
    if std::env::var_os("CHAINSPAN_WRITE_PROTO").is_some() {
        std::fs::write(&kept, new).expect("the tree can be written");
    } else {
        assert!(
            new == text(&kept),
            "{} is stale: CHAINSPAN_WRITE_PROTO=1 cargo test --test house proto",
            kept.display()
        );
    }
}
