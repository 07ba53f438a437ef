//! A TCP relay between the gateways and chainspan, for faults of connections: they are cut when an answer is on its way, and
//! chainspan returns at another address.
//!
//! It reads just enough HTTP/2 to find where a successful answer begins, and changes nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fault_plan::FaultPlan;

/// A running relay. Dropping it stops it and cuts all its connections.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    answers: AtomicU64,
    cuts: AtomicU64,
}

impl Relay {
    /// Listens on a free port and forwards everything to `target`, except the answers that `faults` cuts off.
    pub async fn start(target: SocketAddr, faults: &FaultPlan) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (target, targets) = watch::channel(Some(target));
        let counts = Arc::new(Counts::default());
        let shared = (Arc::new(faults.clone()), Arc::clone(&counts));
        let accepting = tokio::spawn(async move {
            // Ends with the relay, and takes its connections along.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (faults, counts) = shared.clone();
                connections.spawn(connection(client, targets.clone(), faults, counts));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, target, counts, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections go from now on; with `None` they wait until there is a target again. Existing connections
    /// stay as they are.
    pub fn redirect(&self, target: Option<SocketAddr>) {
        self.target.send_replace(target);
    }

    /// Answers that were cut off.
    pub fn cuts(&self) -> u64 {
        self.counts.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(
    client: TcpStream,
    mut targets: watch::Receiver<Option<SocketAddr>>,
    faults: Arc<FaultPlan>,
    counts: Arc<Counts>,
) {
    let Ok(Some(target)) = targets.wait_for(Option::is_some).await.map(|target| *target) else { return };
    let Ok(server) = TcpStream::connect(target).await else { return };
    // A delay here would only blur when things happen.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let requests = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = requests => {}
        // When the answers end, for whatever reason, both sides are closed.
        _ = answers(from_server, to_client, &faults, &counts) => {}
    }
}

/// Passes answers on, frame by frame, until one is to be cut off.
async fn answers(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    faults: &FaultPlan,
    counts: &Counts,
) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    let mut frame = Vec::new();
    loop {
        let mut head = [0; 9];
        from.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, ..] = head;
        // A refusal ends its stream with its first frame, and so do the trailers of every answer.
        if kind == HEADERS && flags & END_STREAM == 0 {
            let answer = counts.answers.fetch_add(1, Ordering::Relaxed);
            if faults.cuts(answer) {
                counts.cuts.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        frame.clear();
        frame.extend_from_slice(&head);
        frame.resize(9 + u32::from_be_bytes([0, a, b, c]) as usize, 0);
        from.read_exact(&mut frame[9..]).await?;
        to.write_all(&frame).await?;
    }
}
