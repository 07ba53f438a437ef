//! The many spellings of a chain id, valid and invalid ones.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::attribute::{self, Flavour};
use crate::spec::{CHAIN_KEYS, INVALID_CHAIN_TEXTS};

/// A double holds every integer below this one exactly.
const DOUBLE_EXACT: u64 = 1 << 53;

/// A valid attribute for `id` under one of the known keys, in one of the known spellings.
pub(super) fn valid(rng: &mut fastrand::Rng, flavour: Flavour, id: u64) -> KeyValue {
    let key = if rng.bool() { CHAIN_KEYS[0] } else { CHAIN_KEYS[rng.usize(..CHAIN_KEYS.len())] };
    valid_under(rng, flavour, key, id)
}

/// A valid attribute for `id` under `key`.
pub(super) fn valid_under(rng: &mut fastrand::Rng, flavour: Flavour, key: &str, id: u64) -> KeyValue {
    match rng.u8(..16) {
        0 => attribute::text(key, format!("{id:#x}")),
        1 => attribute::text(key, format!("0X{id:X}")),
        2 => attribute::text(key, format!("0x00{id:x}")),
        3 => attribute::text(key, format!("eip155:{id}")),
        4 => attribute::text(key, format!(" {id} ")),
        5 if id < DOUBLE_EXACT => attribute::double(key, id as f64),
        6 => attribute::text(key, format!("00{id}")),
        7..=9 => attribute::text(key, id.to_string()),
        _ => attribute::unsigned(flavour, key, id),
    }
}

/// An invalid chain id under `key`.
pub(super) fn invalid_under(rng: &mut fastrand::Rng, key: &str) -> KeyValue {
    match rng.u8(..12) {
        0 => attribute::int(key, 0),
        1 => attribute::int(key, -5),
        2 => attribute::boolean(key, true),
        3 => attribute::double(key, 1.5),
        _ => attribute::text(key, INVALID_CHAIN_TEXTS[rng.usize(..INVALID_CHAIN_TEXTS.len())]),
    }
}
