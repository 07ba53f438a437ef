//! The many ways in which a gateway writes a chain id, and the ways in which it gets it wrong.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::draft::{self, Flavour};
use super::spec::{CHAIN_KEYS, INVALID_CHAIN_TEXTS};

/// Largest whole number that a double holds exactly together with all smaller ones.
const DOUBLE_EXACT: u64 = 1 << 53;

/// A valid attribute for `id` under one of the known keys, in one of the known spellings.
pub(super) fn valid(rng: &mut fastrand::Rng, flavour: Flavour, id: u64) -> KeyValue {
    let key = if rng.bool() { CHAIN_KEYS[0] } else { CHAIN_KEYS[rng.usize(..CHAIN_KEYS.len())] };
    valid_under(rng, flavour, key, id)
}

/// A valid attribute for `id` under `key`.
pub(super) fn valid_under(rng: &mut fastrand::Rng, flavour: Flavour, key: &str, id: u64) -> KeyValue {
    match rng.u8(..16) {
        0 => draft::text(key, format!("{id:#x}")),
        1 => draft::text(key, format!("0X{id:X}")),
        2 => draft::text(key, format!("0x00{id:x}")),
        3 => draft::text(key, format!("eip155:{id}")),
        4 => draft::text(key, format!(" {id} ")),
        5 if id < DOUBLE_EXACT => draft::double(key, id as f64),
        6 => draft::text(key, format!("00{id}")),
        7..=9 => draft::text(key, id.to_string()),
        _ => draft::unsigned(flavour, key, id),
    }
}

/// A chain id that is none, under `key`.
pub(super) fn invalid_under(rng: &mut fastrand::Rng, key: &str) -> KeyValue {
    match rng.u8(..12) {
        0 => draft::int(key, 0),
        1 => draft::int(key, -5),
        2 => draft::boolean(key, true),
        3 => draft::double(key, 1.5),
        _ => draft::text(key, INVALID_CHAIN_TEXTS[rng.usize(..INVALID_CHAIN_TEXTS.len())]),
    }
}
