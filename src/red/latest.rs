//! What was last seen, by event time: of everything, and as each window knew it.

/// Windows that keep a value of their own: the open ones, and one that is about to be handed out. If they are not fetched for
/// longer than that, the oldest two become one.
const MAX_WINDOWS: usize = 4;

/// The greatest of what was seen, where what is compared begins with the end of a span: so the one that ended last.
#[derive(Clone, Debug)]
pub(super) struct LatestByWindow<T> {
    /// Of everything.
    newest: T,
    /// Of each window that has not been handed out, ascending.
    waiting: Vec<(u64, T)>,
    /// Of the windows that have been.
    handed_out: Option<T>,
}

impl<T: Ord + Copy> LatestByWindow<T> {
    /// The first that is seen, in the window of that number.
    pub(super) fn new(window: u64, seen: T) -> Self {
        Self { newest: seen, waiting: vec![(window, seen)], handed_out: None }
    }

    /// Another one.
    pub(super) fn see(&mut self, window: u64, seen: T) {
        self.newest = self.newest.max(seen);
        match self.waiting.binary_search_by_key(&window, |(window, _)| *window) {
            Ok(place) => self.waiting[place].1 = self.waiting[place].1.max(seen),
            Err(place) => self.waiting.insert(place, (window, seen)),
        }
        if self.waiting.len() > MAX_WINDOWS {
            let (_, oldest) = self.waiting.remove(0);
            self.waiting[0].1 = self.waiting[0].1.max(oldest);
        }
    }

    /// The windows up to `last` are handed out.
    pub(super) fn hand_out(&mut self, last: u64) {
        let over = self.waiting.partition_point(|(window, _)| *window <= last);
        for (_, seen) in self.waiting.drain(..over) {
            self.handed_out = self.handed_out.max(Some(seen));
        }
    }

    /// The last of everything.
    pub(super) fn newest(&self) -> T {
        self.newest
    }

    /// The last as of the windows that have been handed out; `None` if it was first seen after them.
    pub(super) fn handed_out(&self) -> Option<T> {
        self.handed_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window shows what ended last in it or before it, whatever has been seen since and in whichever order it came.
    #[test]
    fn each_window_shows_its_own_last() {
        let mut latest = LatestByWindow::new(7, 75);
        latest.see(6, 61);
        latest.see(6, 69);
        latest.see(7, 71);
        latest.see(9, 90);
        assert_eq!((latest.newest(), latest.handed_out()), (90, None));
        let shown = [5, 6, 7, 8, 9].map(|last| {
            latest.hand_out(last);
            latest.handed_out()
        });
        assert_eq!(shown, [None, Some(69), Some(75), Some(75), Some(90)]);
        (10..100).for_each(|window| latest.see(window, window * 10));
        assert!(latest.waiting.len() <= MAX_WINDOWS);
        latest.hand_out(u64::MAX);
        assert_eq!(latest.handed_out(), Some(990));
    }
}
