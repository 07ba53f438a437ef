//! `tls` of an exporter.

use crate::config::error::LATER;
use crate::config::form::section;
use crate::config::forms::Truth;
use crate::config::reader::Section;

section! {
    /// Encryption on the way to a destination: not available in this version.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Tls {
        /// Plaintext. `true` is the only value in this version, and it must be written where `tls` is.
        pub insecure: bool = "insecure", Truth, true;
    }
    refuse {
        "ca_file", "ca_pem", "cert_file", "cert_pem", "key_file", "key_pem", "server_name_override",
        "insecure_skip_verify", "min_version" => LATER;
    }
    check plaintext;
}

/// A user who leaves `insecure` out expects encryption, as the Collector would give: that must not become plaintext.
fn plaintext(tls: &Tls, section: &Section<'_>) {
    if !tls.insecure || section.get("insecure").is_none() {
        section.problem("TLS to a destination is not available in this version; write tls: {insecure: true}");
    }
}
