//! Comparing labels: nearly always they are written exactly so, and that answer is the cheap one.

/// Whether `label` is `known`, in any case.
#[inline]
pub(super) fn same_label(known: &str, label: &[u8]) -> bool {
    known.len() == label.len() && (known.as_bytes() == label || known.as_bytes().eq_ignore_ascii_case(label))
}
