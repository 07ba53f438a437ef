//! Where we listen and where we send: `HOST:PORT`, without a scheme.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::forms::Parsed;

/// The form of an address of ours.
pub(super) const LISTEN: Parsed<SocketAddr> = Parsed { what: "IP:PORT", parse: own };

/// The form of the address of a destination.
pub(super) const PEER: Parsed<String> = Parsed { what: "HOST:PORT", parse: peer };

/// The default of an address of ours: this machine only.
pub(super) const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// An address of ours: an IP address or `localhost`, and a port; port 0 asks the system for a free one.
///
/// # Errors
/// What to write instead.
fn own(text: &str) -> Result<SocketAddr, String> {
    no_scheme(text)?;
    if let Some(port) = text.strip_prefix(':') {
        return Err(format!(
            "say which address to listen on: 127.0.0.1:{port} for this machine only, 0.0.0.0:{port} for all"
        ));
    }
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric
        .parse()
        .map_err(|_| "expected IP:PORT or localhost:PORT to listen on, for example 127.0.0.1:4317".to_owned())
}

/// The address of a destination: a name or an IP address, and a port from 1 to 65535.
///
/// # Errors
/// What to write instead.
fn peer(text: &str) -> Result<String, String> {
    no_scheme(text)?;
    let Some((host, port)) = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
    else {
        return Err("expected HOST:PORT, for example 127.0.0.1:4317 or agent:4317".to_owned());
    };
    let number = if port.bytes().all(|b| b.is_ascii_digit()) { port.parse::<u16>().unwrap_or(0) } else { 0 };
    if number == 0 {
        return Err("the port of a destination is a number from 1 to 65535".to_owned());
    }
    let named = |host: &str| {
        !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.map_or_else(|| named(host), |host| host.parse::<Ipv6Addr>().is_ok()) {
        Ok(format!("{host}:{number}"))
    } else {
        Err("the host is a name or an IP address; IPv6 goes into brackets: [::1]:4317".to_owned())
    }
}

fn no_scheme(text: &str) -> Result<(), String> {
    match text.split_once("://") {
        Some((_, rest)) => {
            let bare = rest.trim_end_matches('/');
            let hint = if bare.contains(['@', '/']) { "HOST:PORT" } else { bare };
            Err(format!("write it without a scheme: {hint}"))
        }
        None => Ok(()),
    }
}

/// Whether what is sent to `destination` would arrive at `listener`, as far as the texts tell.
pub(super) fn same(destination: &str, listener: SocketAddr) -> bool {
    let Ok(address) = own(destination) else { return false };
    let everywhere = listener.ip().is_unspecified();
    address.port() == listener.port() && (address.ip() == listener.ip() || everywhere && address.ip().is_loopback())
}

/// Whether two listeners of ours would ask for the same address.
pub(super) fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || ANY.contains(&a.ip()) || ANY.contains(&b.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be listened on, and what may be dialled.
    #[test]
    fn endpoints() {
        for text in ["127.0.0.1:0", "0.0.0.0:65535", "localhost:1", "[::1]:4317", "[::]:0"] {
            assert!(own(text).is_ok(), "{text}");
        }
        for text in ["", ":1", "1", "agent:1", "127.0.0.1", "127.0.0.1:65536", "::1:1", "http://127.0.0.1:1"] {
            assert!(own(text).is_err(), "{text}");
        }
        for text in ["agent:4317", "a-b.c_d:1", "127.0.0.1:65535", "[::1]:4317"] {
            assert_eq!(peer(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            ":1",
            "agent",
            "agent:0",
            "agent:65536",
            "agent:+1",
            "a b:1",
            "::1:1",
            "[x]:1",
            "http://agent:1",
            "[::1]",
        ] {
            assert!(peer(text).is_err(), "{text}");
        }
    }

    /// A destination that is our own receiver would be a loop.
    #[test]
    fn loops_are_seen() {
        let listener = |text: &str| own(text).expect("valid");
        assert!(same("localhost:14317", listener("127.0.0.1:14317")));
        assert!(same("127.0.0.1:14317", listener("0.0.0.0:14317")));
        assert!(!same("127.0.0.1:4317", listener("127.0.0.1:14317")));
        assert!(!same("agent:14317", listener("127.0.0.1:14317")));
        assert!(clash(listener("0.0.0.0:1"), listener("127.0.0.1:1")));
        assert!(!clash(listener("127.0.0.1:0"), listener("127.0.0.1:0")));
    }
}
