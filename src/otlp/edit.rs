//! The edit: changes attributes of spans in a request without decoding it.
//!
//! [`Edits`] collects what is to change, then [`Edits::apply`] writes the new body in one pass: what is between two changes
//! is copied as it is. A changed span changes three lengths, its own and those of the messages around it; each is a patch
//! of its own, put down when the message is first touched and kept right while more changes come. So nothing is left to do
//! at the end, and the new size is known at any time.

use std::ops::Range;

use bytes::Bytes;

use super::reader::{WireReader, fields};
use super::schema::{key_value, span};
use super::visit::{AttributePlace, Container, SpanPlace};
use super::wire::WireError;
use super::write::{self, NewValue, varint_len};

/// Why spans cannot be edited so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A span that stands before one that was edited already, or an attribute that is changed twice or is outside its
    /// span.
    #[error("edits must come span by span in ascending order, one per attribute")]
    Order,
    /// A message, or the request, would grow beyond 4 GiB.
    #[error("the edited request would be larger than 4 GiB")]
    TooLarge,
    /// The places are not those of this body.
    #[error("the places of the edits are not those of this request")]
    OtherBody,
    /// What stands at an attribute's place is not an attribute.
    #[error("no attribute at the place of the edit: {0}")]
    NotAnAttribute(#[from] WireError),
}

/// Changes to the spans of one request, in ascending order.
///
/// ```
/// # use chainspan::otlp::{Edits, SpanHead, Visitor, walk};
/// struct Places(Vec<chainspan::otlp::SpanPlace>);
/// impl<'a> Visitor<'a> for Places {
///     fn restart(&mut self) {
///         self.0.clear();
///     }
///     fn span(&mut self, span: &SpanHead<'a>) {
///         self.0.push(span.place);
///     }
/// }
/// let body = b"\x0a\x07\x12\x05\x12\x03\x2a\x01n";
/// let mut places = Places(Vec::new());
/// walk(body, &mut places)?;
/// let mut edits = Edits::default();
/// for place in places.0 {
///     edits.span(place)?.append(|attributes| attributes.str("chain_id", "1"))?;
/// }
/// let edited = edits.apply(body)?;
/// assert_eq!(edited.len(), edits.len_after(body.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Edits {
    /// In ascending order of the body.
    patches: Vec<Patch>,
    /// What replacements write, one after the other.
    text: Vec<u8>,
    /// The messages around the last edited span, from the outside in.
    open: Option<[OpenMessage; 3]>,
    /// By how much the body grows.
    growth: i64,
}

/// One range of the body that is written anew.
#[derive(Clone, Debug)]
struct Patch {
    start: u32,
    end: u32,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    /// The length of a message.
    Length(u32),
    /// A range of [`Edits::text`].
    Text(Range<usize>),
}

/// A message whose length has changed.
#[derive(Clone, Copy, Debug)]
struct OpenMessage {
    place: Container,
    /// Its length now.
    len: u32,
    /// Bytes that its length takes now.
    width: i64,
    /// Its length's patch, once there is one.
    patch: Option<usize>,
}

impl OpenMessage {
    fn untouched(place: Container) -> Self {
        Self {
            place,
            len: place.end.saturating_sub(place.start),
            width: i64::from(place.start) - i64::from(place.length_at),
            patch: None,
        }
    }
}

impl Edits {
    /// Whether nothing is to change: [`Edits::apply`] would copy the body as it is.
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Forgets all edits and keeps the memory, for the next request.
    pub fn clear(&mut self) {
        self.patches.clear();
        self.text.clear();
        self.open = None;
        self.growth = 0;
    }

    /// How many bytes [`Edits::apply`] makes of a body of `len` bytes.
    pub fn len_after(&self, len: usize) -> usize {
        len.saturating_add_signed(self.growth.try_into().unwrap_or(isize::MAX))
    }

    /// Edits the span at `place`, which the walk of this body has shown.
    ///
    /// # Errors
    ///
    /// [`EditError::Order`] when the span stands before one that was edited already.
    pub fn span(&mut self, place: SpanPlace) -> Result<SpanEdits<'_>, EditError> {
        let places = levels(place);
        let last = self.open.map_or(places, |open| open.map(|open| open.place));
        // Whatever is not still open begins after what was.
        if places.iter().zip(last).any(|(place, last)| *place != last && place.length_at < last.end) {
            return Err(EditError::Order);
        }
        Ok(SpanEdits { edits: self, place })
    }

    /// Writes the request that `body` becomes.
    ///
    /// # Errors
    ///
    /// [`EditError::TooLarge`] when it would be larger than 4 GiB, [`EditError::OtherBody`] when `body` is not the one that
    /// was walked (not every other body is recognised).
    pub fn apply(&self, body: &[u8]) -> Result<Bytes, EditError> {
        let len = self.len_after(body.len());
        if u32::try_from(len).is_err() {
            return Err(EditError::TooLarge);
        }
        let mut out = Vec::with_capacity(len);
        let mut copied = 0;
        for patch in &self.patches {
            let kept = body.get(copied..patch.start as usize).ok_or(EditError::OtherBody)?;
            out.extend_from_slice(kept);
            match &patch.by {
                By::Length(len) => write::varint(&mut out, u64::from(*len)),
                By::Text(range) => out.extend_from_slice(&self.text[range.clone()]),
            }
            copied = patch.end as usize;
        }
        out.extend_from_slice(body.get(copied..).ok_or(EditError::OtherBody)?);
        Ok(out.into())
    }

    /// Replaces a range of the span at `place` by what has been written to `text` since `text_start`.
    fn replace(&mut self, place: SpanPlace, range: Range<u32>, text_start: usize) -> Result<(), EditError> {
        let text = text_start..self.text.len();
        let mut open = levels(place).map(OpenMessage::untouched);
        for (open, last) in open.iter_mut().zip(self.open.iter().flatten()) {
            if open.place == last.place {
                *open = *last;
            }
        }
        let mut growth = text.len() as i64 - i64::from(range.end) + i64::from(range.start);
        for open in open.iter_mut().rev() {
            open.len = u32::try_from(i64::from(open.len) + growth).map_err(|_| EditError::TooLarge)?;
            let width = varint_len(open.len.into()) as i64;
            growth += width - open.width;
            open.width = width;
        }
        // Edits of one span may come in any order; there are few of them.
        let mut at = None;
        if let Some(span) = open[2].patch {
            let before = self.patches[span + 1..].iter().rposition(|patch| patch.end <= range.start);
            let next = span + 1 + before.map_or(0, |index| index + 1);
            if self.patches.get(next).is_some_and(|patch| patch.start < range.end) {
                return Err(EditError::Order);
            }
            at = Some(next);
        }

        for open in &mut open {
            let by = By::Length(open.len);
            match open.patch {
                Some(patch) => self.patches[patch].by = by,
                None => {
                    open.patch = Some(self.patches.len());
                    self.patches.push(Patch { start: open.place.length_at, end: open.place.start, by });
                }
            }
        }
        let patch = Patch { start: range.start, end: range.end, by: By::Text(text) };
        self.patches.insert(at.unwrap_or(self.patches.len()), patch);
        self.open = Some(open);
        self.growth += growth;
        Ok(())
    }
}

/// The messages whose lengths change with a span, from the outside in.
fn levels(place: SpanPlace) -> [Container; 3] {
    [place.resource_spans, place.scope_spans, place.span]
}

/// Edits one span. What is edited in it may come in any order.
///
/// # Errors
///
/// Each edit fails with [`EditError::TooLarge`] where a message around it would grow beyond 4 GiB, and an edit of an
/// attribute with [`EditError::Order`] where the attribute has been edited before or lies outside the span. What failed
/// changes nothing.
#[derive(Debug)]
pub struct SpanEdits<'e> {
    edits: &'e mut Edits,
    place: SpanPlace,
}

/// Attributes that are added to a span.
#[derive(Debug)]
pub struct Appended<'t>(&'t mut Vec<u8>);

impl Appended<'_> {
    /// The attribute `key` with a string.
    pub fn str(&mut self, key: &str, value: &str) {
        write::attribute(self.0, span::attributes::TAG, key, NewValue::Str(value));
    }

    /// The attribute `key` with an int.
    pub fn int(&mut self, key: &str, value: i64) {
        write::attribute(self.0, span::attributes::TAG, key, NewValue::Int(value));
    }
}

impl SpanEdits<'_> {
    /// Adds the attributes that `write` writes, as the span's last fields.
    ///
    /// # Errors
    ///
    /// See [`SpanEdits`].
    pub fn append(&mut self, write: impl FnOnce(&mut Appended<'_>)) -> Result<(), EditError> {
        let end = self.place.span.end;
        self.write(end..end, |text| {
            write(&mut Appended(text));
            Ok(())
        })
    }

    /// Gives the attribute at `place` the string `value` in place of its own. Its key stays, and so do fields of it that we
    /// do not know. `body` is the request that was walked.
    ///
    /// # Errors
    ///
    /// See [`SpanEdits`]; [`EditError::OtherBody`] and [`EditError::NotAnAttribute`] when `body` is not the one.
    pub fn replace_with_str(&mut self, body: &[u8], place: AttributePlace, value: &str) -> Result<(), EditError> {
        let value = NewValue::Str(value);
        self.write(place.start..place.end, |text| {
            let mut field = WireReader::range(body, place.start, place.end).ok_or(EditError::OtherBody)?;
            let tag = field.tag(span::PATH)?;
            let (attribute, _) = field.message(span::attributes::PATH)?;
            let kept =
                fields(attribute, span::attributes::PATH).filter(|field| !matches!(field, Ok((key_value::VALUE, _))));
            let len = kept.clone().try_fold(value.field_len(), |len, field| Ok(len + field?.1.len()));
            write::field(text, tag, len.map_err(EditError::NotAnAttribute)?);
            for field in kept {
                text.extend_from_slice(field?.1);
            }
            value.write_field(text);
            Ok(())
        })
    }

    /// Removes the attribute at `place`.
    ///
    /// # Errors
    ///
    /// See [`SpanEdits`].
    pub fn remove(&mut self, place: AttributePlace) -> Result<(), EditError> {
        self.write(place.start..place.end, |_| Ok(()))
    }

    /// Replaces a range of the span by what `write` appends.
    fn write(
        &mut self,
        range: Range<u32>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        let span = self.place.span;
        if range.start > range.end || range.start < span.start || range.end > span.end {
            return Err(EditError::Order);
        }
        let text_start = self.edits.text.len();
        let result = write(&mut self.edits.text).and_then(|()| self.edits.replace(self.place, range, text_start));
        if result.is_err() {
            self.edits.text.truncate(text_start);
        }
        result
    }
}

#[cfg(test)]
mod tests;
