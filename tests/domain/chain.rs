//! Chain ids as the specification's section 2 has them: the parse table, the order of keys and sources, inheritance.

use chainspan::chain::{
    ChainCandidate, ChainId, ChainKeys, ChainSource, DEFAULT_KEYS, Lookup, RequestTraces, Resolved, Spelling,
};
use chainspan::otlp::Value;
use proptest::prelude::*;

fn chain(raw: u64) -> ChainId {
    ChainId::new(raw).expect("a test's chain id is in range")
}

/// The table's first row: each spelling of Sepolia is Sepolia.
#[test]
fn every_spelling_of_the_table_is_read() {
    let spellings = [
        Value::Int(11_155_111),
        Value::Str(b"11155111"),
        Value::Str(b" 11155111 "),
        Value::Str(b"\t11155111\r\n"),
        Value::Str(b"0011155111"),
        Value::Str(b"0xaa36a7"),
        Value::Str(b"0XAA36A7"),
        Value::Str(b"0x00aa36a7"),
        Value::Str(b" 0xAa36A7 "),
        Value::Str(b"eip155:11155111"),
        Value::Str(b"eip155:0011155111"),
        Value::Double(11_155_111.0),
    ];
    for value in spellings {
        let found = ChainId::from_value(value);
        assert_eq!(found, Some(chain(11_155_111)), "{value:?}");
        assert_eq!(found.map(|found| found.canonical().to_vec()), Some(b"11155111".to_vec()));
    }
}

/// The table's second row, and relatives: none of these is a chain.
#[test]
fn what_the_table_refuses_is_refused() {
    let texts = [
        "aa36a7",
        "",
        " ",
        "0x",
        "0X",
        "0",
        "00",
        "0x0",
        "-1",
        "+1",
        "eip155:",
        "eip155:0",
        "eip155:0x1",
        "EIP155:1",
        "eip155: 1",
        "solana:101",
        "1.5",
        "1e3",
        "1 1",
        "0xg",
        "0x 1",
        "0x+1",
        "0x1_0",
        "9223372036854775772",
        "18446744073709551616",
        "18446744073709551617",
        "0x7fffffffffffffdc",
        "0x10000000000000001",
        "１",
        "١",
    ];
    for text in texts {
        assert_eq!(ChainId::from_value(Value::Str(text.as_bytes())), None, "{text:?}");
    }
    let values = [
        Value::Int(0),
        Value::Int(-5),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Int(9_223_372_036_854_775_772),
        Value::Double(1.5),
        Value::Double(0.0),
        Value::Double(-1.0),
        Value::Double(f64::NAN),
        Value::Double(f64::INFINITY),
        Value::Double(f64::NEG_INFINITY),
        Value::Double(9_223_372_036_854_775_808.0),
        Value::Double(1e300),
        Value::Bool(true),
        Value::Bytes(b"11155111"),
        Value::Array(b""),
        Value::KvList(b""),
        Value::Empty,
        Value::Str(b"\xff\xfe"),
    ];
    for value in values {
        assert_eq!(ChainId::from_value(value), None, "{value:?}");
    }
}

/// The range ends exactly at EIP-2294's maximum, in every spelling that can express it.
#[test]
fn the_largest_id_is_read_exactly() {
    let largest = chain(ChainId::MAX);
    for text in ["9223372036854775771", "0x7fffffffffffffdb", "eip155:9223372036854775771", "0009223372036854775771"] {
        assert_eq!(ChainId::parse(text.as_bytes()), Some(largest), "{text}");
    }
    assert_eq!(ChainId::from_value(Value::Int(9_223_372_036_854_775_771)), Some(largest));
    // The largest double below 2^63 is in range; the maximum itself rounds to 2^63, which is not.
    assert_eq!(ChainId::from_value(Value::Double(9_223_372_036_854_774_784.0)), Some(chain(9_223_372_036_854_774_784)));
    assert_eq!(ChainId::from_value(Value::Double(ChainId::MAX as f64)), None);
}

/// Leading zeros without end neither overflow nor change the number.
#[test]
fn endless_leading_zeros_are_harmless() {
    let zeros = "0".repeat(100_000);
    assert_eq!(ChainId::parse(format!("{zeros}8453").as_bytes()), Some(chain(8453)));
    assert_eq!(ChainId::parse(format!("0x{zeros}2105").as_bytes()), Some(chain(8453)));
    assert_eq!(ChainId::parse(format!("eip155:{zeros}8453").as_bytes()), Some(chain(8453)));
    assert_eq!(ChainId::parse(zeros.as_bytes()), None);
    assert_eq!(ChainId::parse("9".repeat(100_000).as_bytes()), None);
    assert_eq!(ChainId::parse(format!("0x{}", "f".repeat(100_000)).as_bytes()), None);
}

/// Only the plain decimal string is canonical: everything else has to be rewritten.
#[test]
fn only_the_decimal_string_is_canonical() {
    assert!(Spelling::of(Value::Str(b"8453")).canonical);
    for value in [Value::Int(8453), Value::Str(b"08453"), Value::Str(b"8453 "), Value::Str(b"0"), Value::Bytes(b"8453")]
    {
        assert!(!Spelling::of(value).canonical, "{value:?}");
    }
}

/// What the documented grammar says, written down a second time and slowly.
fn oracle(text: &str) -> Option<u64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (digits, radix) = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (hex, 16)
    } else {
        (text.strip_prefix("eip155:").unwrap_or(text), 10)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii() && c.is_digit(radix)) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    if significant.len() > 30 {
        return None;
    }
    let number = if significant.is_empty() { 0 } else { u128::from_str_radix(significant, radix).ok()? };
    u64::try_from(number).ok().filter(|&number| (1..=ChainId::MAX).contains(&number))
}

proptest! {
    /// Every id comes back from every spelling of it.
    #[test]
    fn each_id_comes_back(raw in prop_oneof![1..=ChainId::MAX, 1_u64..100_000], zeros in 0_usize..40) {
        let id = chain(raw);
        let zeros = "0".repeat(zeros);
        prop_assert_eq!(ChainId::parse(&id.canonical()), Some(id));
        let canonical = Spelling { chain: Some(id), canonical: true };
        prop_assert_eq!(Spelling::of(Value::Str(id.to_string().as_bytes())), canonical);
        prop_assert_eq!(id.to_string().parse::<ChainId>(), Ok(id));
        for text in [format!(" {zeros}{raw}\n"), format!("0x{zeros}{raw:x}"), format!("0X{zeros}{raw:X}"), format!("eip155:{zeros}{raw}")] {
            prop_assert_eq!(ChainId::parse(text.as_bytes()), Some(id), "{}", text);
        }
        prop_assert_eq!(ChainId::from_value(Value::Int(raw as i64)), Some(id));
    }

    /// A double is read exactly when it is a whole number in range, and then as that number.
    #[test]
    fn doubles_are_read_exactly(bits in any::<u64>(), whole in 0_u64..u64::MAX) {
        for number in [f64::from_bits(bits), whole as f64, (whole >> 11) as f64] {
            let expected = (number >= 1.0 && number.fract() == 0.0 && number < 1e19)
                .then_some(number as u128)
                .filter(|&number| number <= u128::from(ChainId::MAX))
                .map(|number| chain(number as u64));
            prop_assert_eq!(ChainId::from_value(Value::Double(number)), expected, "{}", number);
        }
    }

    /// On texts that look like chain ids, and on arbitrary ones, the reader agrees with the grammar.
    #[test]
    fn parsing_agrees_with_the_grammar(text in prop_oneof![
        "[ \t]{0,2}(0x|0X|eip155:|EIP155:|solana:|)[0-9]{0,24}[ \n]{0,2}",
        "0[xX][0-9a-fA-F]{0,20}",
        "[0-9a-fA-FxX:+. -]{0,24}",
        ".{0,40}",
    ]) {
        prop_assert_eq!(ChainId::parse(text.as_bytes()).map(ChainId::get), oracle(&text), "{:?}", text);
    }

    /// Bytes that are no text never panic.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = ChainId::parse(&bytes);
        let _ = ChainKeys::default().rank(&bytes);
    }
}

/// The chain of a span that says nothing else, on a scope and a resource that say nothing.
fn of_span(found: &ChainCandidate) -> Option<ChainId> {
    Resolved::own(found, &ChainCandidate::NOTHING, &ChainCandidate::NOTHING).chain
}

fn found(attributes: &[(&str, Value<'_>)]) -> ChainCandidate {
    let keys = ChainKeys::default();
    let mut found = ChainCandidate::NOTHING;
    for (key, value) in attributes {
        if let Some(rank) = keys.rank(key.as_bytes()) {
            found.offer(rank, *value);
        }
    }
    found
}

/// The order of the key list decides, not the order of the attributes.
#[test]
fn the_key_list_decides() {
    for (better, key) in DEFAULT_KEYS.iter().enumerate() {
        for worse in &DEFAULT_KEYS[better + 1..] {
            let (one, two) = ((*key, Value::Int(1)), (*worse, Value::Int(2)));
            assert_eq!(of_span(&found(&[one, two])), Some(chain(1)), "{key} before {worse}");
            assert_eq!(of_span(&found(&[two, one])), Some(chain(1)), "{worse} before {key}");
        }
    }
}

/// An invalid value falls to the next key of the same source, and is counted wherever it stands.
#[test]
fn an_invalid_value_falls_to_the_next_key() {
    let bad = ("chain_id", Value::Str(b"mainnet"));
    let good = ("evm.chain_id", Value::Str(b"0x2105"));
    for attributes in [[bad, good], [good, bad]] {
        let found = found(&attributes);
        assert_eq!((of_span(&found), found.invalid()), (Some(chain(8453)), 1));
    }
    let nothing = found(&[bad, ("chainId", Value::Int(0))]);
    assert_eq!((of_span(&nothing), nothing.invalid()), (None, 2));
}

/// Of several values under one key the first valid one wins.
#[test]
fn of_duplicates_the_first_valid_one_wins() {
    let values = [Value::Str(b"x"), Value::Int(10), Value::Int(8453)].map(|value| ("chain_id", value));
    let found = found(&values);
    assert_eq!((of_span(&found), found.invalid()), (Some(chain(10)), 1));
}

/// Span before scope before resource.
#[test]
fn sources_come_in_order() {
    let [one, two, three] = [1, 2, 3].map(|raw| found(&[("chain_id", Value::Int(raw))]));
    let none = found(&[("chain_id", Value::Bool(true))]);
    let cases = [
        ([one, two, three], Some(1), ChainSource::Span),
        ([none, two, three], Some(2), ChainSource::Scope),
        ([none, none, three], Some(3), ChainSource::Resource),
        ([none, none, none], None, ChainSource::None),
    ];
    for ([span, scope, resource], raw, source) in cases {
        assert_eq!(Resolved::own(&span, &scope, &resource), Resolved { chain: raw.map(chain), source });
    }
    let labels: Vec<_> = ChainSource::ALL.iter().map(|source| source.label()).collect();
    assert_eq!(labels, ["span", "scope", "resource", "trace", "none"]);
}

/// Within a request: one chain is passed on, two are ambiguous for good, and the next request starts from nothing.
#[test]
fn a_request_knows_its_traces() {
    let mut traces = RequestTraces::default();
    let [one, two] = [[1_u8; 16], [2_u8; 16]];
    traces.note(&one, chain(1));
    traces.note(&one, chain(1));
    traces.note(&two, chain(1));
    traces.note(&two, chain(10));
    traces.note(&two, chain(10));
    traces.note(&two, chain(1));
    assert_eq!(traces.get(&one), Lookup::Chain(chain(1)));
    assert_eq!(traces.get(&two), Lookup::Ambiguous);
    assert_eq!(traces.get(&[3; 16]), Lookup::Unknown);
    assert_eq!(traces.count(), 2);
    traces.clear();
    assert_eq!(traces.get(&one), Lookup::Unknown);
    assert_eq!(traces.count(), 0);
}

/// What two places know of a trace is put together; a contradiction is ambiguous.
#[test]
fn knowledge_of_a_trace_adds_up() {
    let (one, two) = (Lookup::Chain(chain(1)), Lookup::Chain(chain(10)));
    assert_eq!(Lookup::Unknown.and(one), one);
    assert_eq!(one.and(Lookup::Unknown), one);
    assert_eq!(one.and(one), one);
    assert_eq!(one.and(two), Lookup::Ambiguous);
    assert_eq!(Lookup::Ambiguous.and(one), Lookup::Ambiguous);
    assert_eq!(Lookup::Unknown.and(Lookup::Ambiguous), Lookup::Ambiguous);
    assert_eq!(Lookup::Unknown.and(Lookup::Unknown), Lookup::Unknown);
}
