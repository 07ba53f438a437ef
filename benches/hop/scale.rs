//! `HOP_SCALE=1`: how the cost per span depends on what there is to count, on the size and number of requests, on
//! compression and on the number of destinations. `scale_table` measures what is listed here.

use tonic::codec::CompressionEncoding;

use crate::bodies::Shape;
use crate::ours::Settings;

/// Variants that are compared with one another.
pub(crate) struct Table {
    pub(crate) what: &'static str,
    pub(crate) variants: Vec<Variant>,
    /// Which of them the others are compared with.
    pub(crate) baseline: usize,
    /// Whether the raw relay gets the same load beside each.
    pub(crate) with_relay: bool,
}

/// One line of a table.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) settings: Settings,
    pub(crate) connections: usize,
    /// Of the requests that come in.
    pub(crate) encoding: Option<CompressionEncoding>,
}

/// The usual load, from which each variant departs in one respect.
fn usual(name: impl Into<String>) -> Variant {
    Variant {
        name: name.into(),
        shape: Shape::usual(512, true),
        settings: Settings::default(),
        connections: 8,
        encoding: None,
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Every table.
pub(crate) fn tables() -> Vec<Table> {
    let counted = |name: &str, chains, services, operations| {
        let shape = Shape { chains, services, operations, ..Shape::usual(512, true) };
        let settings = Settings { max_series: 16_384, ..Settings::default() };
        Variant { shape, settings, ..usual(name) }
    };
    let sized = |spans| Variant { shape: Shape::usual(spans, true), ..usual(format!("{spans} spans a request")) };
    let connected = |connections| Variant {
        connections,
        shape: Shape::usual(16, true),
        ..usual(format!("{}, 16 spans", many(connections, "connection")))
    };
    let compressed = |inward: &str, outward: &'static str| {
        let encoding = match inward {
            "gzip" => Some(CompressionEncoding::Gzip),
            "zstd" => Some(CompressionEncoding::Zstd),
            _ => None,
        };
        let settings = Settings { compression: outward, ..Settings::default() };
        Variant { encoding, settings, ..usual(format!("{inward} in, {outward} out")) }
    };
    let sent_to = |destinations| {
        let settings = Settings { destinations, ..Settings::default() };
        Variant { settings, ..usual(many(destinations, "destination")) }
    };
    vec![
        Table {
            what: "series and chains",
            variants: vec![
                counted("1 chain, 1 service, 1 operation", 1, 1, 1),
                counted("1 chain, 3 services, 5 operations", 1, 3, 5),
                counted("1 chain, 64 services, 5 operations", 1, 64, 5),
                counted("64 chains, 1 service, 1 operation", 64, 1, 1),
                counted("64 chains, 3 services, 5 operations", 64, 3, 5),
            ],
            baseline: 1,
            with_relay: false,
        },
        Table {
            what: "size of requests",
            variants: [16, 128, 512, 8_192].map(sized).into(),
            baseline: 2,
            with_relay: true,
        },
        Table {
            what: "connections",
            variants: [1, 8, 200, 2_000].map(connected).into(),
            baseline: 1,
            with_relay: true,
        },
        Table {
            what: "compression",
            variants: vec![
                compressed("none", "none"),
                compressed("gzip", "none"),
                compressed("zstd", "none"),
                compressed("none", "gzip"),
                compressed("none", "zstd"),
            ],
            baseline: 0,
            with_relay: false,
        },
        Table { what: "destinations", variants: [1, 2, 3].map(sent_to).into(), baseline: 0, with_relay: false },
    ]
}
