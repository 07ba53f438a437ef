//! What has to happen to a span's own `chain_id` attributes so that exactly one remains, carrying the canonical string.
//!
//! This file only decides; the pipeline edits the bytes. Nothing here allocates for a span with at most one
//! `chain_id` attribute; the list of duplicates is reused from span to span.

use super::{ChainId, Spelling};
use crate::otlp::AttributePlace;

/// The key of the tag that chainspan writes.
pub const TAG_KEY: &str = "chain_id";

/// Places of duplicates whose memory is kept for the next span; more is freed, so that one hostile span does not hold it.
const KEPT_PLACES: usize = 256;

/// What to do with a span's `chain_id` attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagPlan<'p> {
    /// Nothing: the span has no known chain, or is tagged already. It stays byte-identical.
    Leave,
    /// The span has no `chain_id`: append one.
    Append,
    /// The span has one or more. One place stays, the others go.
    Edit {
        /// The attribute that stays.
        keep: AttributePlace,
        /// Whether its value has to be replaced; if not, its bytes are kept as they came.
        rewrite: bool,
        /// The attributes that go, in the order of the wire.
        remove: &'p [AttributePlace],
    },
}

/// The `chain_id` attributes of one span: takes each of them, then says what to do. Reused from span to span with
/// [`OwnTag::clear`].
#[derive(Debug, Default)]
pub struct OwnTag {
    first: Option<OwnAttribute>,
    /// The attribute that stays when there are several: the first valid one, or the first if none is valid.
    keep: Option<OwnAttribute>,
    /// All places, from the second `chain_id` on.
    places: Vec<AttributePlace>,
}

#[derive(Clone, Copy, Debug)]
struct OwnAttribute {
    place: AttributePlace,
    spelling: Spelling,
}

impl OwnAttribute {
    fn is_tag_of(&self, chain: ChainId) -> bool {
        self.spelling.canonical && self.spelling.chain == Some(chain)
    }
}

impl OwnTag {
    /// Forgets the span.
    #[inline]
    pub fn clear(&mut self) {
        self.first = None;
        if !self.places.is_empty() {
            self.forget_duplicates();
        }
    }

    #[cold]
    fn forget_duplicates(&mut self) {
        self.keep = None;
        self.places.clear();
        self.places.shrink_to(KEPT_PLACES);
    }

    /// Takes an attribute whose key is [`TAG_KEY`], in the order of the wire.
    #[inline]
    pub fn attribute(&mut self, spelling: Spelling, place: AttributePlace) {
        let own = OwnAttribute { place, spelling };
        match self.first {
            None => self.first = Some(own),
            Some(first) => self.duplicate(first, own),
        }
    }

    #[cold]
    fn duplicate(&mut self, first: OwnAttribute, own: OwnAttribute) {
        if self.places.is_empty() {
            self.places.push(first.place);
        }
        self.places.push(own.place);
        let kept = self.keep.unwrap_or(first);
        let better = kept.spelling.chain.is_none() && own.spelling.chain.is_some();
        self.keep = Some(if better { own } else { kept });
    }

    /// What to do, now that the span's chain is known. Asked once per span.
    #[inline]
    pub fn plan(&mut self, chain: Option<ChainId>) -> TagPlan<'_> {
        let Some(chain) = chain else { return TagPlan::Leave };
        let Some(first) = self.first else { return TagPlan::Append };
        if !self.places.is_empty() {
            return self.plan_duplicates(first, chain);
        }
        if first.is_tag_of(chain) {
            TagPlan::Leave
        } else {
            TagPlan::Edit { keep: first.place, rewrite: true, remove: &[] }
        }
    }

    #[cold]
    fn plan_duplicates(&mut self, first: OwnAttribute, chain: ChainId) -> TagPlan<'_> {
        let keep = self.keep.unwrap_or(first);
        self.places.retain(|place| *place != keep.place);
        TagPlan::Edit { keep: keep.place, rewrite: !keep.is_tag_of(chain), remove: &self.places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Value;

    fn place(number: u32) -> AttributePlace {
        AttributePlace { start: number * 100, end: number * 100 + 20 }
    }

    fn chain(raw: u64) -> Option<ChainId> {
        ChainId::new(raw)
    }

    fn own(values: &[Value<'_>]) -> OwnTag {
        let mut own = OwnTag::default();
        for (number, &value) in (1..).zip(values) {
            own.attribute(Spelling::of(value), place(number));
        }
        own
    }

    /// No `chain_id`: append with a chain, nothing without.
    #[test]
    fn without_a_tag_one_is_appended() {
        assert_eq!(own(&[]).plan(chain(1)), TagPlan::Append);
        assert_eq!(own(&[]).plan(None), TagPlan::Leave);
    }

    /// The canonical string is left alone; each other type and spelling is rewritten in place, an invalid one too once
    /// another source knows the chain.
    #[test]
    fn a_single_tag_is_kept_or_rewritten() {
        assert_eq!(own(&[Value::Str(b"8453")]).plan(chain(8453)), TagPlan::Leave);
        let others = [
            Value::Int(8453),
            Value::Double(8453.0),
            Value::Str(b"08453"),
            Value::Str(b"0x2105"),
            Value::Str(b" 8453"),
        ];
        for value in others.into_iter().chain([Value::Str(b"aa36a7"), Value::Bool(true), Value::Empty]) {
            let expected = TagPlan::Edit { keep: place(1), rewrite: true, remove: &[] };
            assert_eq!(own(&[value]).plan(chain(8453)), expected, "{value:?}");
        }
    }

    /// Without a known chain an invalid value stays as it came, duplicates too.
    #[test]
    fn without_a_chain_nothing_is_touched() {
        assert_eq!(own(&[Value::Str(b"nonsense")]).plan(None), TagPlan::Leave);
        assert_eq!(own(&[Value::Str(b"nonsense"), Value::Int(-1)]).plan(None), TagPlan::Leave);
    }

    /// Of several, the first valid one stays, byte for byte when it is canonical; the others go in wire order.
    #[test]
    fn of_duplicates_the_first_valid_one_stays() {
        let mut tag = own(&[Value::Str(b"x"), Value::Str(b"10"), Value::Str(b"8453"), Value::Int(10)]);
        let remove = [place(1), place(3), place(4)];
        assert_eq!(tag.plan(chain(10)), TagPlan::Edit { keep: place(2), rewrite: false, remove: &remove });

        let mut tag = own(&[Value::Int(10), Value::Str(b"10")]);
        assert_eq!(tag.plan(chain(10)), TagPlan::Edit { keep: place(1), rewrite: true, remove: &[place(2)] });

        let mut tag = own(&[Value::Str(b"x"), Value::Str(b"y")]);
        assert_eq!(tag.plan(chain(10)), TagPlan::Edit { keep: place(1), rewrite: true, remove: &[place(2)] });
    }

    /// One span's duplicates never reach the next span, and a hostile number of them gives its memory back.
    #[test]
    fn clearing_forgets_the_span() {
        let mut tag = own(&vec![Value::Int(1); 10_000]);
        tag.clear();
        assert!(tag.places.capacity() <= KEPT_PLACES);
        assert_eq!(tag.plan(chain(1)), TagPlan::Append);
        tag.attribute(Spelling::of(Value::Str(b"1")), place(1));
        assert_eq!(tag.plan(chain(1)), TagPlan::Leave);
    }
}
