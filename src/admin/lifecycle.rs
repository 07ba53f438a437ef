//! The phases of a process, and which may follow which.

use std::sync::Arc;

use tokio::sync::watch;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all endpoints are open yet. Next: `Running`, or `Draining` when told to stop before.
    Starting,
    /// Requests are accepted. Next: `Draining`.
    Running,
    /// Told to stop: open requests are finished, no new ones are taken. Last.
    Draining,
}

impl Phase {
    fn may_become(self, next: Phase) -> bool {
        matches!((self, next), (Phase::Starting, Phase::Running | Phase::Draining) | (Phase::Running, Phase::Draining))
    }
}

/// A phase cannot follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a process that is {from:?} cannot become {to:?}")]
pub struct IllegalTransition {
    from: Phase,
    to: Phase,
}

/// The phase of this process. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<watch::Sender<Phase>>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }
}

impl Lifecycle {
    /// A process that is starting.
    pub fn new() -> Self {
        Self::default()
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Goes on to `next`.
    ///
    /// # Errors
    /// When `next` cannot follow the phase now; nothing has changed then.
    pub fn advance(&self, next: Phase) -> Result<(), IllegalTransition> {
        let mut refused = None;
        self.0.send_if_modified(|phase| {
            let legal = phase.may_become(next);
            if legal {
                *phase = next;
            } else {
                refused = Some(IllegalTransition { from: *phase, to: next });
            }
            legal
        });
        refused.map_or(Ok(()), Err)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Of the nine pairs three are legal, and an illegal one changes nothing.
    #[test]
    fn phases_only_go_forward() {
        use Phase::{Draining, Running, Starting};
        for (path, next, legal) in [
            (&[][..], Starting, false),
            (&[], Running, true),
            (&[], Draining, true),
            (&[Running], Starting, false),
            (&[Running], Running, false),
            (&[Running], Draining, true),
            (&[Draining], Starting, false),
            (&[Draining], Running, false),
            (&[Draining], Draining, false),
        ] {
            let lifecycle = Lifecycle::new();
            path.iter().for_each(|phase| lifecycle.advance(*phase).unwrap());
            let before = lifecycle.phase();
            assert_eq!(lifecycle.advance(next).is_ok(), legal, "{before:?} to {next:?}");
            assert_eq!(lifecycle.phase(), if legal { next } else { before });
        }
    }
}
