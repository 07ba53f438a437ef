//! The oracle: it hands out the numbers of the spans, hears what clients were answered and what the agent took, and knows
//! when something was done to the process or the agent. What that means is for [`super::verdict`] to say.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tonic::Code;

/// Everything that is known.
#[derive(Debug)]
pub struct Oracle {
    begin: Instant,
    clients: Mutex<Clients>,
    agent: Mutex<Arrivals>,
    troubles: Mutex<Vec<Trouble>>,
}

/// What the clients did.
#[derive(Debug, Default)]
struct Clients {
    next: u64,
    sent: Vec<Sent>,
}

/// One request. The spans of different requests are different spans: nothing is sent twice.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Number of its first span.
    pub first: u64,
    /// How many spans.
    pub spans: u32,
    /// What became of it; `None`: not finished yet.
    pub outcome: Option<Outcome>,
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// OK.
    Acknowledged,
    /// A status that came over the wire, or the client's own when the connection was lost.
    Failed(Code),
}

/// What the agent took.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// By number.
    pub spans: Vec<Arrival>,
    /// Each arrival of a span that had arrived before.
    pub repeats: Vec<Repeat>,
    /// Spans that nobody sent.
    pub strange: u64,
}

/// The last arrival of one span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// How often it arrived.
    pub times: u16,
    /// Whether the agent's OK for the last one went out.
    pub answered: bool,
    /// When the last one was.
    pub at: Moment,
    /// When the connection that it came on was opened.
    pub opened: Moment,
}

/// An arrival of a span that had arrived before.
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    /// Its number.
    pub number: u64,
    /// The arrival before this one.
    pub before: Arrival,
    /// When this one was.
    pub at: Moment,
}

/// Milliseconds since the oracle began.
pub type Moment = u32;

/// Something that was done to the process or to the agent, and may end what is in flight.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// When it began.
    pub from: Moment,
    /// When it was over for certain.
    pub to: Moment,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// chainspan was killed.
    Kill,
    /// The agent cut all its connections.
    AgentGone,
}

/// Names a request to [`Oracle::finished`].
#[derive(Clone, Copy, Debug)]
pub struct Ticket(usize);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Oracle {
    fn default() -> Self {
        Self { begin: Instant::now(), clients: Mutex::default(), agent: Mutex::default(), troubles: Mutex::default() }
    }
}

impl Oracle {
    /// Now.
    pub fn now(&self) -> Moment {
        self.begin.elapsed().as_millis() as Moment
    }

    /// When `instant` was.
    pub fn moment(&self, instant: Instant) -> Moment {
        instant.saturating_duration_since(self.begin).as_millis() as Moment
    }

    /// A client is about to send `spans` new spans; the number of the first.
    pub fn sending(&self, spans: u32) -> (Ticket, u64) {
        let mut clients = lock(&self.clients);
        let first = clients.next;
        clients.next += u64::from(spans);
        clients.sent.push(Sent { first, spans, outcome: None });
        (Ticket(clients.sent.len() - 1), first)
    }

    /// A client has its answer, or knows that none will come.
    pub fn finished(&self, ticket: Ticket, outcome: Outcome) {
        lock(&self.clients).sent[ticket.0].outcome = Some(outcome);
    }

    /// The agent takes `numbers`, on a connection that was opened at `opened`.
    pub fn arrived(&self, numbers: &[u64], strange: u64, opened: Moment) {
        let at = self.now();
        let sent = lock(&self.clients).next;
        let mut agent = lock(&self.agent);
        agent.strange += strange;
        for &number in numbers {
            if number >= sent {
                agent.strange += 1;
                continue;
            }
            let index = number as usize;
            if agent.spans.len() <= index {
                agent.spans.resize(index + 1, Arrival::default());
            }
            let before = agent.spans[index];
            if before.times > 0 {
                agent.repeats.push(Repeat { number, before, at });
            }
            agent.spans[index] = Arrival { times: before.times.saturating_add(1), answered: false, at, opened };
        }
    }

    /// The agent's OK for `numbers` is on its way.
    pub fn answered(&self, numbers: &[u64]) {
        let mut agent = lock(&self.agent);
        for &number in numbers {
            if let Some(arrival) = agent.spans.get_mut(number as usize) {
                arrival.answered = true;
            }
        }
    }

    /// Something was done between `from` and now.
    pub fn trouble(&self, kind: TroubleKind, from: Moment) {
        let to = self.now();
        lock(&self.troubles).push(Trouble { kind, from, to });
    }

    /// Every request so far.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.clients).sent.clone()
    }

    /// How many spans were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        let clients = lock(&self.clients);
        let acknowledged = clients.sent.iter().filter(|sent| sent.outcome == Some(Outcome::Acknowledged));
        acknowledged.map(|sent| u64::from(sent.spans)).sum()
    }

    /// Every trouble so far.
    pub fn troubles(&self) -> Vec<Trouble> {
        lock(&self.troubles).clone()
    }

    /// Looks at what the agent took.
    pub fn with_arrivals<T>(&self, look: impl FnOnce(&Arrivals) -> T) -> T {
        look(&lock(&self.agent))
    }
}
