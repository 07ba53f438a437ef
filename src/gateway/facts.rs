//! What the attributes of one span say: collected while the walk shows them, interpreted only once the span is known to be
//! an operation.

use super::key::AttributeKey;
use super::number;
use crate::otlp::Value;

/// How many error messages of a span's events are kept: the newest ones.
const MESSAGES: usize = 4;

/// The facts of one span. Made once per request, cleared from span to span; it borrows from the request's bytes and
/// allocates nothing. Of an attribute that occurs twice the first counts.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Bit `n`: the span has the attribute with the key number `n`.
    present: u32,
    /// Bit `n`: and a value for it is in `values`.
    known: u32,
    values: [Value<'a>; AttributeKey::ALL.len()],
    messages: [&'a [u8]; MESSAGES],
    message_count: usize,
}

/// An attribute key that is a fact's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactKey(AttributeKey);

impl FactKey {
    /// `key`, if it is a fact's.
    #[inline]
    pub fn of(key: &[u8]) -> Option<Self> {
        AttributeKey::find(key).map(Self)
    }

    /// A number from 0 to 31 that stands for the key.
    #[inline]
    pub fn number(self) -> u8 {
        self.0 as u8
    }

    /// The key that `number` stands for.
    #[inline]
    pub fn numbered(number: u8) -> Option<Self> {
        AttributeKey::ALL.get(usize::from(number)).copied().map(Self)
    }
}

/// The state of a circuit breaker of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GatewayBreaker {
    /// Requests pass.
    Closed,
    /// One is tried.
    HalfOpen,
    /// None pass.
    Open,
}

impl GatewayBreaker {
    /// The state with that label (`closed`, `half_open`, `open`), written in any case.
    pub fn from_label(label: &[u8]) -> Option<Self> {
        [(Self::Closed, "closed"), (Self::HalfOpen, "half_open"), (Self::Open, "open")]
            .into_iter()
            .find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(label))
            .map(|(state, _)| state)
    }
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            present: 0,
            known: 0,
            values: [Value::Empty; AttributeKey::ALL.len()],
            messages: [&[]; MESSAGES],
            message_count: 0,
        }
    }
}

impl<'a> Facts<'a> {
    /// No facts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the span.
    #[inline]
    pub fn clear(&mut self) {
        self.present = 0;
        self.known = 0;
        self.message_count = 0;
    }

    /// Takes an attribute of the span.
    #[inline]
    pub fn attribute(&mut self, key: &[u8], value: Value<'a>) {
        if let Some(key) = FactKey::of(key) {
            self.known_attribute(key, value);
        }
    }

    /// Takes an attribute of the span whose key has been looked up.
    #[inline]
    pub fn known_attribute(&mut self, key: FactKey, value: Value<'a>) {
        self.take(key.0, value);
    }

    #[inline]
    fn take(&mut self, key: AttributeKey, value: Value<'a>) {
        let bit = 1 << key as u32;
        self.present |= bit;
        if self.known & bit == 0 && !matches!(value, Value::Empty) {
            self.known |= bit;
            self.values[key as usize] = value;
        }
    }

    /// Takes an attribute of one of the span's events.
    #[inline]
    pub fn event_attribute(&mut self, key: &[u8], value: Value<'a>) {
        if key == b"exception.message"
            && let Value::Str(message) = value
        {
            self.messages[self.message_count % MESSAGES] = message;
            self.message_count += 1;
        }
    }

    /// `evm.tx.nonce_pending` minus `evm.tx.nonce_latest`, when both are there.
    pub fn nonce_gap(&self) -> Option<i64> {
        self.int(AttributeKey::NoncePending)?.checked_sub(self.int(AttributeKey::NonceLatest)?)
    }

    /// `evm.signer.alias`.
    pub fn signer_alias(&self) -> Option<&'a [u8]> {
        self.text(AttributeKey::SignerAlias)
    }

    /// `circuit_breaker.state`.
    pub fn breaker_state(&self) -> Option<GatewayBreaker> {
        GatewayBreaker::from_label(self.text(AttributeKey::BreakerState)?)
    }

    /// `circuit_breaker.target`.
    pub fn breaker_target(&self) -> Option<&'a [u8]> {
        self.text(AttributeKey::BreakerTarget)
    }

    /// Whether the span has the attribute, even without a value.
    #[inline]
    pub(super) fn has_any(&self, key: AttributeKey) -> bool {
        self.present & (1 << key as u32) != 0
    }

    /// Whether the span has the attribute with a value.
    #[inline]
    fn has(&self, key: AttributeKey) -> bool {
        self.known & (1 << key as u32) != 0
    }

    #[inline]
    pub(super) fn value(&self, key: AttributeKey) -> Option<Value<'a>> {
        self.has(key).then(|| self.values[key as usize])
    }

    /// The attribute as a text that is not blank, without the space around it.
    #[inline]
    pub(super) fn text(&self, key: AttributeKey) -> Option<&'a [u8]> {
        match self.value(key)? {
            // Whitespace is not above a space: two bytes of nearly every text say that it has none around it.
            Value::Str(text @ [first, .., last]) if first.min(last) > &b' ' => Some(text),
            Value::Str(text) => Some(text.trim_ascii()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// Whether the attribute says something: it has a value, and one that is not a blank string.
    pub(super) fn is_set(&self, key: AttributeKey) -> bool {
        match self.value(key) {
            None => false,
            Some(Value::Str(text)) => !text.trim_ascii().is_empty(),
            Some(_) => true,
        }
    }

    pub(super) fn int(&self, key: AttributeKey) -> Option<i64> {
        number::int(self.value(key)?)
    }

    pub(super) fn double(&self, key: AttributeKey) -> Option<f64> {
        number::double(self.value(key)?)
    }

    pub(super) fn flag(&self, key: AttributeKey) -> Option<bool> {
        number::flag(self.value(key)?)
    }

    /// `avs.quorum.signed_stake_ratio`, else signed by total stake; from 0 to 1.
    pub(super) fn signed_stake_ratio(&self) -> Option<f64> {
        let share = |ratio: &f64| (0.0..=1.0).contains(ratio);
        self.double(AttributeKey::SignedStakeRatio).filter(share).or_else(|| {
            let signed = number::stake(self.value(AttributeKey::SignedStake)?)?;
            let total = number::stake(self.value(AttributeKey::TotalStake)?)?;
            Some(signed / total).filter(share)
        })
    }

    /// `avs.quorum.threshold`, a percentage, as a ratio. What lies between 0 and 1 percent is a ratio that was put where
    /// a percentage belongs, and is not taken for either.
    pub(super) fn threshold(&self) -> Option<f64> {
        let percent = self.double(AttributeKey::Threshold)?;
        (percent == 0.0 || (1.0..=100.0).contains(&percent)).then_some(percent / 100.0)
    }

    /// The messages of the span's exceptions, the newest first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &'a [u8]> {
        let oldest = self.message_count.saturating_sub(MESSAGES);
        (oldest..self.message_count).rev().map(|at| self.messages[at % MESSAGES])
    }

    pub(super) fn has_messages(&self) -> bool {
        self.message_count > 0
    }
}
