//! Access to the dead letters of one store: to read them, and to move them so that their destination learns of it.

use std::sync::Arc;

use crate::delivery::{Destination, Moved};
use crate::store::{Count, Filter, Letter, Store, StoreError};

/// Letters that are read at once: an answer never holds more of them in memory.
const LIST_BATCH: u64 = 500;

/// The store, and the destinations that are configured now. Clones share them.
#[derive(Clone, Debug)]
pub struct DeadLetterAdmin {
    store: Store,
    destinations: Destinations,
}

#[derive(Clone, Debug)]
enum Destinations {
    /// Those of this process, which must learn what is moved.
    Running(Arc<[Destination]>),
    /// The names of those that the next process will have; it reads from the store what was moved.
    Configured(Arc<[String]>),
}

impl DeadLetterAdmin {
    /// In a running process.
    pub fn running(store: Store, destinations: &[Destination]) -> Self {
        Self { store, destinations: Destinations::Running(destinations.into()) }
    }

    /// Without a running process: `destinations` are those that the configuration names.
    pub fn offline(store: Store, destinations: Vec<String>) -> Self {
        Self { store, destinations: Destinations::Configured(destinations.into()) }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether there is a destination `name` to send to, now or when the process runs.
    pub(super) fn has_destination(&self, name: &str) -> bool {
        match &self.destinations {
            Destinations::Running(destinations) => destinations.iter().any(|destination| destination.name() == name),
            Destinations::Configured(names) => names.iter().any(|known| known == name),
        }
    }

    /// Whether somebody is there to send what waits.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.destinations, Destinations::Running(_))
    }

    /// Calls `visit` with every letter that matches `filter`, a page at a time, until it returns false. Blocks.
    pub(super) fn for_each_page(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(Vec<Letter>) -> bool,
    ) -> Result<(), StoreError> {
        let mut filter = filter.clone();
        let mut left = filter.limit.unwrap_or(u64::MAX);
        while left > 0 {
            filter.limit = Some(left.min(LIST_BATCH));
            let page = self.store.letters(&filter)?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            left = left.saturating_sub(page.len() as u64);
            let is_full = page.len() as u64 == LIST_BATCH;
            if !visit(page) || !is_full {
                break;
            }
        }
        Ok(())
    }

    /// Makes the letters that match `filter` wait to be sent again, and returns their sum. Blocks until that is on the disk.
    pub(super) fn revive(&self, filter: &Filter) -> Result<Count, StoreError> {
        Ok(self.notify(self.store.revive(filter)?, Moved::Revived))
    }

    /// Deletes the letters that match `filter`, and returns their sum. Blocks until that is on the disk.
    pub(super) fn purge(&self, filter: &Filter) -> Result<Count, StoreError> {
        Ok(self.notify(self.store.purge(filter)?, Moved::Purged))
    }

    /// Tells each destination what was moved, and returns the sum.
    fn notify(&self, moved: Vec<(String, Count)>, how: fn(Count) -> Moved) -> Count {
        let mut sum = Count::default();
        for (name, count) in moved {
            if let Destinations::Running(destinations) = &self.destinations
                && let Some(destination) = destinations.iter().find(|destination| destination.name() == name)
            {
                destination.moved(how(count));
            }
            sum.add(count);
        }
        sum
    }
}
