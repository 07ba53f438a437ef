//! The head of a row: everything that is known about a record, in front of its body, readable without SQLite.
//!
//! A row is `(id, head, body)`. SQLite stores the columns of a row one after the other, so that head and body are one unbroken
//! frame: [`MAGIC`] marks its beginning, the lengths its end, and two checksums tell whether it is what was written. `salvage`
//! depends on that. All numbers are little endian.
//!
//! | at | bytes | content |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 4 | length of the head |
//! | 12 | 4 | length of the body |
//! | 16 | 4 | CRC32C of the head without these four bytes |
//! | 20 | 4 | CRC32C of the body |
//! | 24 | 8 | id |
//! | 32 | 8 | received, nanoseconds since the Unix epoch |
//! | 40 | 4 | spans |
//! | 44 | 1 | state: 0 waiting, 1 dead, 2 not a record but a sum of discarded ones |
//! | 45 | 1 | signal |
//! | 46 | 1 | why it died: 1 rejected, 2 too_large, 3 expired, 4 corrupt_record; 0: it never did |
//! | 47 | 1 | reserved, 0 |
//! | 48 | | destination; then, if it died: code, message, attempts, first, last, chains, operations |
//!
//! A letter that waits again keeps its death: only the state says what it is now.

use crate::clock::unix_nano;
use crate::otlp::Signal;
use crate::store::fields::{put_text, put_texts, size, take, text, texts, u32_of, u64_of};
use crate::store::record::{Count, Death, DeathReason, Letter, RecordId};

/// The first bytes of every frame.
pub(super) const MAGIC: [u8; 8] = *b"\xf5cspnR1\n";
/// The bytes of a head in front of its first text.
const FIXED_HEAD_BYTES: usize = 48;
/// A head longer than this is not ours: messages of destinations are cut long before.
const MAX_HEAD: usize = 16 << 20;

/// No row has a higher number: at a million rows a second they last for 140,000 years.
pub(super) const MAX_ID: i64 = 1 << 62;

const HEAD_CRC: usize = 16;
const STATE: usize = 44;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState {
    /// It waits to be sent.
    Waiting,
    /// It is a dead letter.
    Dead,
    /// Not a record: its body says how many letters of its destination operators purged.
    Discarded,
}

/// A head, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: RecordId,
    pub(super) destination: String,
    pub(super) signal: Signal,
    pub(super) state: RowState,
    pub(super) spans: u32,
    pub(super) received: u64,
    pub(super) death: Option<Death>,
    pub(super) body_len: u32,
    pub(super) body_crc: u32,
}

/// Whether a head is what was written.
#[derive(Debug)]
pub(super) enum Decoded {
    /// Its checksum is right.
    Sound(Head),
    /// It can be read, but something in it is not what was written.
    Doubtful(Head),
    /// It cannot be read.
    Garbage,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_HEAD_BYTES + 64);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.received.to_le_bytes());
        out.extend_from_slice(&self.spans.to_le_bytes());
        out.push(state_code(self.state));
        out.push(signal_code(self.signal));
        out.push(self.death.as_ref().map_or(0, |death| reason_code(death.reason)));
        out.push(0);
        put_text(&mut out, &self.destination);
        if let Some(death) = &self.death {
            put_text(&mut out, &death.code);
            put_text(&mut out, &death.message);
            out.extend_from_slice(&death.attempts.to_le_bytes());
            out.extend_from_slice(&death.first.to_le_bytes());
            out.extend_from_slice(&death.last.to_le_bytes());
            put_texts(&mut out, &death.chains);
            put_texts(&mut out, &death.operations);
        }
        let length = size(out.len());
        out[8..12].copy_from_slice(&length.to_le_bytes());
        let crc = head_crc(&out);
        out[HEAD_CRC..HEAD_CRC + 4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Decoded {
        let Some((head, crc)) = parse(bytes) else { return Decoded::Garbage };
        let sound = head_crc(bytes) == crc && (1..=MAX_ID).contains(&head.id.0);
        if sound { Decoded::Sound(head) } else { Decoded::Doubtful(head) }
    }

    /// The head, if it is sound.
    pub(super) fn sound(bytes: &[u8]) -> Option<Self> {
        match Self::decode(bytes) {
            Decoded::Sound(head) => Some(head),
            Decoded::Doubtful(_) | Decoded::Garbage => None,
        }
    }

    /// Whether `body` is the body that was written with this head.
    pub(super) fn matches(&self, body: &[u8]) -> bool {
        body.len() == self.body_len as usize && crc32c::crc32c(body) == self.body_crc
    }

    /// Makes it a dead letter whose body is not what was written. If it died before, the message still says why.
    pub(super) fn mark_corrupt(&mut self, message: &str) {
        let now = unix_nano();
        let reason = DeathReason::CorruptRecord;
        self.death = Some(match (self.state, self.death.take()) {
            (RowState::Dead, Some(death)) if death.reason == reason => death,
            (RowState::Dead, Some(death)) => {
                let message =
                    format!("{message}; it was a dead letter already: {} {}", death.reason.name(), death.message);
                Death { reason, message, ..death }
            }
            _ => Death {
                reason,
                code: String::new(),
                message: message.to_owned(),
                attempts: 0,
                first: now,
                last: now,
                chains: Vec::new(),
                operations: Vec::new(),
            },
        });
        self.state = RowState::Dead;
    }

    /// The head and the body of a sum.
    pub(super) fn of_discarded(id: RecordId, destination: &str, count: Count) -> (Self, Vec<u8>) {
        let body = [count.records, count.spans, count.requests].map(u64::to_le_bytes).concat();
        let head = Head {
            id,
            destination: destination.to_owned(),
            signal: Signal::Traces,
            state: RowState::Discarded,
            spans: 0,
            received: 0,
            death: None,
            body_len: size(body.len()),
            body_crc: crc32c::crc32c(&body),
        };
        (head, body)
    }

    /// The sum in `body`.
    pub(super) fn discarded(&self, body: &[u8]) -> Option<Count> {
        if self.state != RowState::Discarded || !self.matches(body) {
            return None;
        }
        let mut rest = body;
        let (records, spans, requests) = (u64_of(&mut rest)?, u64_of(&mut rest)?, u64_of(&mut rest)?);
        Some(Count { records, spans, requests, bytes: 0 })
    }

    /// The dead letter, if it is one.
    pub(super) fn into_letter(self) -> Option<Letter> {
        let Head {
            id, destination, signal, state: RowState::Dead, spans, received, death: Some(death), body_len, ..
        } = self
        else {
            return None;
        };
        Some(Letter { id, destination, signal, spans, bytes: u64::from(body_len), received, death })
    }
}

/// The same head in another state. It has the same length, so that it can be written over the old one.
pub(super) fn with_state(head: &[u8], state: RowState) -> Vec<u8> {
    let mut out = head.to_vec();
    out[STATE] = state_code(state);
    let crc = head_crc(&out);
    out[HEAD_CRC..HEAD_CRC + 4].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The lengths of head and body, if `fixed` is the beginning of a frame.
pub(super) fn lengths(fixed: &[u8]) -> Option<(usize, usize)> {
    let mut rest = fixed;
    if take(&mut rest, MAGIC.len())? != MAGIC {
        return None;
    }
    let (head, body) = (u32_of(&mut rest)? as usize, u32_of(&mut rest)? as usize);
    (FIXED_HEAD_BYTES..=MAX_HEAD).contains(&head).then_some((head, body))
}

fn head_crc(head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..HEAD_CRC]), &head[HEAD_CRC + 4..])
}

fn parse(bytes: &[u8]) -> Option<(Head, u32)> {
    let (length, body_len) = lengths(bytes)?;
    if length != bytes.len() {
        return None;
    }
    let mut rest = &bytes[HEAD_CRC..];
    let crc = u32_of(&mut rest)?;
    let body_crc = u32_of(&mut rest)?;
    let id = RecordId(i64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?));
    let received = u64_of(&mut rest)?;
    let spans = u32_of(&mut rest)?;
    let &[state, signal, reason, _] = take(&mut rest, 4)? else { return None };
    let destination = text(&mut rest)?;
    let death = match reason {
        0 => None,
        code => Some(Death {
            reason: reason_of(code)?,
            code: text(&mut rest)?,
            message: text(&mut rest)?,
            attempts: u32_of(&mut rest)?,
            first: u64_of(&mut rest)?,
            last: u64_of(&mut rest)?,
            chains: texts(&mut rest)?,
            operations: texts(&mut rest)?,
        }),
    };
    let state = match (state, &death) {
        (0, _) => RowState::Waiting,
        (1, Some(_)) => RowState::Dead,
        (2, None) => RowState::Discarded,
        _ => return None,
    };
    let signal = signal_of(signal)?;
    Some((Head { id, destination, signal, state, spans, received, death, body_len: size(body_len), body_crc }, crc))
}

fn state_code(state: RowState) -> u8 {
    match state {
        RowState::Waiting => 0,
        RowState::Dead => 1,
        RowState::Discarded => 2,
    }
}

fn signal_code(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 0,
        Signal::Metrics => 1,
        Signal::Logs => 2,
    }
}

fn signal_of(code: u8) -> Option<Signal> {
    Signal::ALL.into_iter().find(|&signal| signal_code(signal) == code)
}

fn reason_code(reason: DeathReason) -> u8 {
    match reason {
        DeathReason::Rejected => 1,
        DeathReason::TooLarge => 2,
        DeathReason::Expired => 3,
        DeathReason::CorruptRecord => 4,
    }
}

fn reason_of(code: u8) -> Option<DeathReason> {
    DeathReason::ALL.into_iter().find(|&reason| reason_code(reason) == code)
}
