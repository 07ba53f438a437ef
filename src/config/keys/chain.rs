//! `processors.chain`.

use std::time::Duration;

use crate::chain::DEFAULT_KEYS;
use crate::config::form::section;
use crate::config::forms::{MOMENT, Names, Time, Truth, nested, whole};

section! {
    /// Tags every span with its chain: the attribute `chain_id`, a decimal string.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Chain {
        /// Attributes that may hold a chain id. The first one in this list that holds a valid id wins.
        pub keys: Vec<String> = "keys", KEYS, DEFAULT_KEYS.map(str::to_owned).to_vec();
        /// A span without a chain inherits the one of its trace.
        pub inherit: Inherit = "inherit", nested();
        /// Whether spans of operations get `operation.name` and `_dd.measured`, so that Datadog names and measures them.
        pub datadog_hints: bool = "datadog_hints", Truth, true;
    }
}

section! {
    /// How the chain of a trace is remembered.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Inherit {
        /// How many traces are remembered across requests. 0: a span inherits only from spans of the same request.
        pub traces: usize = "traces", whole(0..=10_000_000), 100_000;
        /// How long the chain of a trace is remembered.
        pub ttl: Duration = "ttl", Time(MOMENT), Duration::from_secs(300);
    }
}

const KEYS: Names = Names { what: "attribute names", count: 1..=32 };
