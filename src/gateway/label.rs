//! Comparing labels: they nearly always match exactly, so that is tried first. Where a span may have any label of a set, one
//! look into an index says which of them it could be.

/// The label of a failure that no table knows.
pub const OTHER: &str = "_OTHER";

/// Whether `label` is `known`, in any case.
#[inline]
pub(super) fn same_label(known: &str, label: &[u8]) -> bool {
    known.len() == label.len() && (known.as_bytes() == label || known.as_bytes().eq_ignore_ascii_case(label))
}

const SLOTS: usize = 32;
const NOBODY: u8 = u8::MAX;

/// Which label of a set stands where, by its length and its fourth letter. Made when the program is compiled, which fails
/// where two of the set would share a slot.
pub(super) struct Index([u8; SLOTS]);

impl Index {
    pub(super) const fn new(labels: &[&str]) -> Self {
        let mut slots = [NOBODY; SLOTS];
        let mut at = 0;
        while at < labels.len() {
            let label = labels[at].as_bytes();
            let slot = slot(label.len(), label[3]);
            assert!(slots[slot] == NOBODY, "two labels share a slot: choose another formula in `slot`");
            slots[slot] = at as u8;
            at += 1;
        }
        Self(slots)
    }

    /// The position in the set of the only label that `label` could be, in any case.
    #[inline]
    pub(super) fn candidate(&self, label: &[u8]) -> Option<usize> {
        let at = self.0[slot(label.len(), *label.get(3)?)];
        (at != NOBODY).then_some(at.into())
    }
}

const fn slot(len: usize, fourth: u8) -> usize {
    (len.wrapping_mul(31) + (fourth | 0x20) as usize) % SLOTS
}
