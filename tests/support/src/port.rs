//! Ports for what can't listen on port 0: programs that are told a port, and servers that come back at their old one.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

/// Below what systems give out by themselves, to a bind to port 0 or to a connection (from 32768 on Linux, see
/// `net.ipv4.ip_local_port_range`; from 49152 by RFC 6335): a port from there is soon somebody else's.
const RANGE: Range<u16> = 20_000..32_000;

/// A port of the loopback that nobody listens on, that no other call in this process returns and that the system gives to
/// nobody.
///
/// It is tried without listening: a program that another test starts has a copy of the socket until it has become that
/// program, and a copy that listens would answer for whoever is told this port.
pub fn free() -> SocketAddr {
    next(|address| {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address).map(|()| address)
    })
}

/// Listens on one, for servers that may come back to it.
pub fn listen() -> TcpListener {
    next(TcpListener::bind)
}

/// What `take` makes of the next port that it can take.
fn next<T>(take: impl Fn(SocketAddr) -> std::io::Result<T>) -> T {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // From a random place on, so that two programs at a time hardly meet.
    let next = NEXT.get_or_init(|| AtomicU16::new(fastrand::u16(0..RANGE.end - RANGE.start)));
    RANGE
        .map(|_| RANGE.start + next.fetch_add(1, Ordering::Relaxed) % (RANGE.end - RANGE.start))
        .find_map(|port| take(SocketAddr::from(([127, 0, 0, 1], port))).ok())
        .expect("one of twelve thousand ports is free")
}

/// Listens once more at an address that [`listen`] gave and that its server has left.
///
/// It can be in use for a moment: a program that another test starts has copies of all that is open here until it has become
/// that program.
pub fn again(address: SocketAddr) -> std::io::Result<TcpListener> {
    let begin = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && begin.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            listener => return listener,
        }
    }
}
