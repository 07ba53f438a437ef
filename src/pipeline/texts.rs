//! Texts of the gateways that become attributes of a gauge or a call: cut to a length, and remembered by each thread, so
//! that the same text takes no memory of its own.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::otlp::Value;

/// The longest text that is kept, in bytes; longer ones are cut.
const TEXT_BYTES: usize = 128;

/// Texts that a thread remembers before it forgets them all: signers, targets and instances are few.
const MAX_REMEMBERED: usize = 256;

thread_local! {
    static TEXTS: RefCell<HashSet<Arc<str>>> = RefCell::default();
}

/// The text as far as it is valid UTF-8, and not too long.
pub(super) fn intern(text: &[u8]) -> Arc<str> {
    let cut = &text[..text.len().min(TEXT_BYTES)];
    let text = match std::str::from_utf8(cut) {
        Ok(text) => text,
        // Cut within a character, or not valid from there on.
        Err(error) => std::str::from_utf8(&cut[..error.valid_up_to()]).unwrap_or_default(),
    };
    TEXTS.with_borrow_mut(|texts| {
        if let Some(known) = texts.get(text) {
            return known.clone();
        }
        if texts.len() == MAX_REMEMBERED {
            texts.clear();
        }
        let new: Arc<str> = text.into();
        texts.insert(new.clone());
        new
    })
}

/// An attribute of a resource that is interned when the first span needs it.
pub(super) enum Lazy<'a> {
    Of(Value<'a>),
    Interned(Arc<str>),
}

impl Default for Lazy<'_> {
    fn default() -> Self {
        Self::Of(Value::Empty)
    }
}

impl Lazy<'_> {
    /// The text; empty if the value is not a text.
    pub(super) fn interned(&mut self) -> Arc<str> {
        let text = match self {
            Self::Interned(text) => return text.clone(),
            Self::Of(Value::Str(text)) => intern(text),
            Self::Of(_) => intern(b""),
        };
        *self = Self::Interned(text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long texts are cut between characters, invalid ones where they become invalid, and equal ones share their memory.
    #[test]
    fn texts_are_cut_and_remembered() {
        assert_eq!(&*intern("é".repeat(100).as_bytes()), "é".repeat(64));
        assert_eq!(&*intern(&[b"x".repeat(127), "é".into()].concat()), "x".repeat(127));
        assert_eq!(&*intern(b"ab\xffcd"), "ab");
        assert!(Arc::ptr_eq(&intern(b"signer-1"), &intern(b"signer-1")));
        (0..10_000).for_each(|invented| drop(intern(format!("invented-{invented}").as_bytes())));
        assert!(TEXTS.with_borrow(HashSet::len) <= MAX_REMEMBERED);
    }
}
