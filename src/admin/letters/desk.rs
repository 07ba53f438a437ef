//! Whoever works on dead letters sits here: the store, and whoever must learn what was moved.

use std::sync::Arc;

use crate::delivery::{Destination, Moved};
use crate::store::{Count, Filter, Letter, Store, StoreError};

/// Letters that are read at once.
const PAGE: u64 = 500;

/// The store, and the destinations that are configured now. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Desk {
    store: Store,
    tell: Tell,
}

/// Who is told what was moved.
#[derive(Clone, Debug)]
enum Tell {
    /// The destinations of this process.
    Running(Arc<[Destination]>),
    /// Nobody: the next process reads it from the store. These will be its destinations.
    Nobody(Arc<[String]>),
}

impl Desk {
    /// In a running process.
    pub fn running(store: Store, destinations: &[Destination]) -> Self {
        Self { store, tell: Tell::Running(destinations.into()) }
    }

    /// With no process: `destinations` are those that the configuration names.
    pub fn offline(store: Store, destinations: Vec<String>) -> Self {
        Self { store, tell: Tell::Nobody(destinations.into()) }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether somebody would send what waits for the destination `name`.
    pub(super) fn knows(&self, name: &str) -> bool {
        match &self.tell {
            Tell::Running(destinations) => destinations.iter().any(|destination| destination.name() == name),
            Tell::Nobody(names) => names.iter().any(|known| known == name),
        }
    }

    /// Shows every letter that `filter` means, a page at a time, until `show` wants no more. Blocks.
    pub(super) fn each_page(
        &self,
        filter: &Filter,
        mut show: impl FnMut(Vec<Letter>) -> bool,
    ) -> Result<(), StoreError> {
        let mut filter = filter.clone();
        let mut left = filter.limit.unwrap_or(u64::MAX);
        while left > 0 {
            filter.limit = Some(left.min(PAGE));
            let page = self.store.letters(&filter)?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            left = left.saturating_sub(page.len() as u64);
            let whole = page.len() as u64 == PAGE;
            if !show(page) || !whole {
                break;
            }
        }
        Ok(())
    }

    /// Lets the letters that `filter` means wait to be sent again; how many. Blocks until it is on the disk.
    pub(super) fn revive(&self, filter: &Filter) -> Result<Count, StoreError> {
        Ok(self.told(self.store.revive(filter)?, Moved::Revived))
    }

    /// Forgets the letters that `filter` means; how many. Blocks until it is on the disk.
    pub(super) fn purge(&self, filter: &Filter) -> Result<Count, StoreError> {
        Ok(self.told(self.store.purge(filter)?, Moved::Purged))
    }

    fn told(&self, moved: Vec<(String, Count)>, how: fn(Count) -> Moved) -> Count {
        let mut sum = Count::default();
        for (name, count) in moved {
            if let Tell::Running(destinations) = &self.tell
                && let Some(destination) = destinations.iter().find(|destination| destination.name() == name)
            {
                destination.moved(how(count));
            }
            add(&mut sum, count);
        }
        sum
    }
}

/// Adds to a sum.
pub(super) fn add(sum: &mut Count, more: Count) {
    sum.records += more.records;
    sum.spans += more.spans;
    sum.requests += more.requests;
    sum.bytes += more.bytes;
}
