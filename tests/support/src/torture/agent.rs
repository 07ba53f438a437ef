//! A stand-in for the Datadog agent that tells the oracle what it takes, and behaves as badly as it is told.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::Code;

use super::numbers::{self, Numbers};
use super::oracle::{Oracle, TroubleKind};
use crate::server::{Act, Judge, Request, Server};

/// How it behaves.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Takes everything.
    Good,
    /// Takes everything and answers late.
    Slow(Duration),
    /// Takes everything, answers every other request, and cuts the connection of the others.
    HalfReset,
    /// Refuses everything.
    Refuse(Code),
    /// Refuses requests that hold one of these spans, and takes the others.
    Poison(Arc<HashSet<u64>>, Code),
    /// Refuses requests of more than so many bytes.
    Limit(usize),
}

/// The agent. It may be down; its connections end with it.
#[derive(Debug)]
pub struct Agent(Server<Moody>);

#[derive(Debug)]
struct Moody {
    oracle: Arc<Oracle>,
    mood: Mutex<Mood>,
    requests: AtomicU64,
}

impl Agent {
    /// Starts a good one on a free port.
    pub fn start(oracle: Arc<Oracle>) -> std::io::Result<Self> {
        Server::start(Moody { oracle, mood: Mutex::new(Mood::Good), requests: AtomicU64::new(0) }).map(Self)
    }

    /// Where it is, also while it is down.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// From the next request on.
    pub fn set_mood(&self, mood: Mood) {
        *self.0.judge().mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Requests seen so far, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.0.judge().requests.load(Ordering::Relaxed)
    }

    /// Whether it listens.
    pub fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Cuts every connection and listens no more.
    pub async fn go_down(&self) {
        let oracle = &self.0.judge().oracle;
        let from = oracle.now();
        if self.0.stop().await {
            oracle.trouble(TroubleKind::AgentGone, from);
        }
    }

    /// Listens again, at the same address.
    pub fn come_up(&self) -> std::io::Result<()> {
        self.0.restart()
    }
}

impl Judge for Moody {
    /// The numbers of our spans.
    type Ticket = Vec<u64>;

    fn arrived(&self, request: Request) -> (Act, Self::Ticket) {
        const REFUSED: &str = "the agent does not want this";
        let turn = self.requests.fetch_add(1, Ordering::Relaxed);
        let Ok(Numbers { ours, strange }) = numbers::read(&request.body) else {
            return (Act::Refuse(Code::InvalidArgument, "not an OTLP request", None), Vec::new());
        };
        let mood = self.mood.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let act = match mood {
            Mood::Good => Act::Accept,
            Mood::Slow(delay) => Act::Late(delay),
            Mood::HalfReset if turn % 2 == 1 => Act::Reset,
            Mood::HalfReset => Act::Accept,
            Mood::Refuse(code) => Act::Refuse(code, REFUSED, None),
            Mood::Poison(poison, code) if ours.iter().any(|number| poison.contains(number)) => {
                Act::Refuse(code, REFUSED, None)
            }
            Mood::Limit(bytes) if request.body.len() > bytes => Act::Refuse(Code::ResourceExhausted, REFUSED, None),
            Mood::Poison(..) | Mood::Limit(_) => Act::Accept,
        };
        // What it refuses it has not taken; what it takes counts even if its answer never goes out.
        if !matches!(act, Act::Refuse(..)) {
            self.oracle.arrived(&ours, strange, self.oracle.moment(request.opened));
        }
        (act, ours)
    }

    fn answered(&self, numbers: Self::Ticket) {
        self.oracle.answered(&numbers);
    }
}
