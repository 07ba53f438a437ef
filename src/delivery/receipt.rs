//! The receipt for a parcel that was handed over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use crate::delivery::command::Command;
use crate::delivery::parcel::Undelivered;

/// Resolves when the destination has the parcel, or will not have it. Dropped before that, it withdraws the parcel: what
/// is still queued is not sent, and its memory is free.
#[derive(Debug)]
#[must_use = "dropping a receipt withdraws the parcel"]
pub struct Receipt(State);

#[derive(Debug)]
enum State {
    Settled(Option<Result<(), Undelivered>>),
    Waiting(oneshot::Receiver<Result<(), Undelivered>>, mpsc::UnboundedSender<Command>),
}

impl Receipt {
    /// Of a parcel that nobody waits for, or that was refused at once.
    pub(crate) fn settled(answer: Result<(), Undelivered>) -> Self {
        Self(State::Settled(Some(answer)))
    }

    /// Of a parcel on its way.
    pub(crate) fn waiting(
        answer: oneshot::Receiver<Result<(), Undelivered>>,
        inbox: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self(State::Waiting(answer, inbox))
    }
}

impl Future for Receipt {
    type Output = Result<(), Undelivered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Settled(answer) => Poll::Ready(answer.take().unwrap_or(Err(Undelivered::Closed))),
            State::Waiting(answer, _) => {
                let answer = std::task::ready!(Pin::new(answer).poll(cx));
                self.0 = State::Settled(None);
                Poll::Ready(answer.unwrap_or(Err(Undelivered::Closed)))
            }
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let State::Waiting(answer, inbox) = &mut self.0 {
            answer.close();
            if answer.try_recv().is_err() {
                // Where nobody listens any more, nothing is queued either.
                let _ = inbox.send(Command::Withdrawn);
            }
        }
    }
}
