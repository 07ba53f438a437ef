//! A query to another room, on a thread where it may hang.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lock::lock;

/// Something that can be asked again and again, and its last answer.
pub(super) struct Query<T> {
    ask: Arc<dyn Fn() -> T + Send + Sync>,
    /// Held while a query is under way, also when nobody waits for it any more: one that hangs costs one thread.
    turn: Arc<tokio::sync::Mutex<()>>,
    last: Arc<Mutex<Arc<T>>>,
}

impl<T: Default + Send + Sync + 'static> Query<T> {
    /// `ask` is called from a thread where it may block.
    pub(super) fn new(ask: Arc<dyn Fn() -> T + Send + Sync>) -> Self {
        Self { ask, turn: Arc::default(), last: Arc::default() }
    }

    /// The answer, which knows all that happened before this call; the last one known, as an error, when there is none
    /// within `timeout`. Before the first, that is an empty one.
    pub(super) async fn ask(&self, timeout: Duration) -> Result<Arc<T>, Arc<T>> {
        let answer = async {
            let turn = self.turn.clone().lock_owned().await;
            let (ask, last) = (self.ask.clone(), self.last.clone());
            let asked = tokio::task::spawn_blocking(move || {
                let answer = Arc::new(ask());
                *lock(&last) = answer.clone();
                drop(turn);
                answer
            });
            asked.await.ok()
        };
        tokio::time::timeout(timeout, answer).await.ok().flatten().ok_or_else(|| self.last())
    }

    /// The last answer. Asks nobody.
    pub(super) fn last(&self) -> Arc<T> {
        lock(&self.last).clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Scenario: a query is under way and knows the old state when the state changes and somebody else asks. Guarantee:
    /// the second hears of the change.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_is_never_older_than_its_query() {
        let state = Arc::new(AtomicU32::new(1));
        let ((looked, has_looked), (release, gate)) = (mpsc::channel(), mpsc::channel::<()>());
        let gate = Mutex::new(gate);
        let query = Arc::new(Query::new({
            let state = state.clone();
            Arc::new(move || {
                let seen = state.load(Ordering::SeqCst);
                looked.send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
                seen
            })
        }));
        let first = tokio::spawn({
            let query = query.clone();
            async move { query.ask(TIMEOUT).await }
        });
        let has_looked = tokio::task::spawn_blocking(move || has_looked.recv().map(|()| has_looked)).await.unwrap();
        state.store(2, Ordering::SeqCst);
        // In this order: the second asks while the first waits at the gate.
        let (second, ()) = tokio::join!(query.ask(TIMEOUT), async {
            release.send(()).unwrap();
            release.send(()).unwrap();
        });
        assert_eq!((second.map(|answer| *answer), first.await.unwrap().is_ok()), (Ok(2), true));
        drop(has_looked);
    }
}
