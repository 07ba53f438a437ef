//! A question to another room, asked where it may hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Something that can be asked again and again, and its last answer.
pub(super) struct Question<T> {
    ask: Arc<dyn Fn() -> T + Send + Sync>,
    /// A question is on its way: no second one is asked before it is answered, so one that hangs costs one thread.
    asking: Arc<AtomicBool>,
    answers: watch::Sender<Arc<T>>,
}

impl<T: Default + Send + Sync + 'static> Question<T> {
    /// `ask` is called from a thread where it may block.
    pub(super) fn new(ask: Arc<dyn Fn() -> T + Send + Sync>) -> Self {
        Self { ask, asking: Arc::default(), answers: watch::Sender::new(Arc::default()) }
    }

    /// The answer; the last one known, as an error, when there is none within `patience`. Before the first, that is an
    /// empty one.
    pub(super) async fn ask(&self, patience: Duration) -> Result<Arc<T>, Arc<T>> {
        let mut answers = self.answers.subscribe();
        answers.mark_unchanged();
        if !self.asking.swap(true, Ordering::AcqRel) {
            let (ask, answers, done) = (self.ask.clone(), self.answers.clone(), Done(self.asking.clone()));
            tokio::task::spawn_blocking(move || {
                answers.send_replace(Arc::new(ask()));
                drop(done);
            });
        }
        let answered = tokio::time::timeout(patience, answers.changed()).await.is_ok();
        let last = self.last();
        if answered { Ok(last) } else { Err(last) }
    }

    /// The last answer. Asks nobody.
    pub(super) fn last(&self) -> Arc<T> {
        self.answers.borrow().clone()
    }
}

/// The question has been answered, or has panicked: another may be asked.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
