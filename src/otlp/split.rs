//! Divides requests of any signal, for a destination that takes no more at once. The way back needs no code: bodies of
//! one signal *concatenate* to one valid request, since its only field is repeated.
//!
//! Pieces repeat what belongs to more than one item (resource, scope, schema URLs, unknown fields of the messages around
//! the items); each item is in exactly one piece, its bytes unchanged. Resources and scopes that hold no item are left out
//! once a request is divided. All of it takes linear time.

use std::collections::HashMap;

use bytes::Bytes;

use super::outline::{INNER, Outline, OwnFields, RESOURCES};
use super::wire::WireError;
use super::write::{self, field_len};

/// Bytes of repeated fields from which on they may take no more than half of a piece; the piece grows beyond its limit
/// instead. Otherwise a request that is one large resource and many small items would multiply.
const LARGE_REPEATED: usize = 64 * 1024;

/// A part of a request: a valid request of the same signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The request message.
    pub body: Bytes,
    /// How many spans, metrics or log records it holds.
    pub items: u32,
}

/// Divides the request in `body` into pieces of at most `max_bytes` where that can be. An item that is larger with its
/// resource and scope stands alone; fields of more than 64 KiB around the items may stretch a piece to twice their size. A
/// request that is small enough comes back as it is, and so does one without items.
///
/// With `keep_traces_together`, for traces, the spans of one trace in one resource stay in one piece as long as they fit,
/// and so may be moved before spans of other traces; order is kept otherwise.
///
/// # Errors
///
/// The first fault in the messages around the items (in spans up to their trace id too, with `keep_traces_together`).
pub fn split(body: &Bytes, max_bytes: usize, keep_traces_together: bool) -> Result<Vec<Piece>, WireError> {
    let outline = Outline::read(body)?;
    let items = outline.items.len();
    if body.len() <= max_bytes || items < 2 {
        return Ok(vec![Piece { body: body.clone(), items: items as u32 }]);
    }
    let mut pieces = Vec::new();
    let mut draft = Draft::new(&outline, max_bytes);
    for unit in Units::of(&outline, keep_traces_together)?.iter() {
        if draft.add(unit, false) {
            continue;
        }
        pieces.extend(draft.take());
        if draft.add(unit, false) {
            continue;
        }
        // Too large to stay together.
        for item in unit.chunks(1) {
            if !draft.add(item, false) {
                pieces.extend(draft.take());
                draft.add(item, true);
            }
        }
    }
    pieces.extend(draft.take());
    Ok(pieces)
}

/// Divides the request in `body` into two with about as many items each; `None` when it has no two items.
///
/// With `keep_traces_together`, for traces, spans of one trace in one resource stay together as long as there is anything
/// else to divide. So halving the halves comes down to single items in the end.
///
/// # Errors
///
/// As [`split`].
pub fn halve(body: &Bytes, keep_traces_together: bool) -> Result<Option<(Piece, Piece)>, WireError> {
    let outline = Outline::read(body)?;
    let total = outline.items.len();
    if total < 2 {
        return Ok(None);
    }
    let mut units = Units::of(&outline, keep_traces_together)?;
    if units.ends.len() < 2 {
        units = Units::of(&outline, false)?;
    }
    // The end of a unit, but for the last, that is closest to the half.
    let inner_ends = &units.ends[..units.ends.len() - 1];
    let cut = inner_ends.iter().map(|end| *end as usize).min_by_key(|end| end.abs_diff(total - end));
    let (first, second) = units.items.split_at(cut.unwrap_or(1));
    Ok(Some((outline.piece(first.to_vec()), outline.piece(second.to_vec()))))
}

/// Groups of items that should stay together, in the order of the first item of each.
struct Units {
    /// Indices of items: those of one unit in a row, ascending.
    items: Vec<u32>,
    /// Where in `items` each unit ends.
    ends: Vec<u32>,
}

impl Units {
    fn of(outline: &Outline<'_>, keep_traces_together: bool) -> Result<Self, WireError> {
        let count = outline.items.len() as u32;
        if !keep_traces_together {
            return Ok(Self { items: (0..count).collect(), ends: (1..=count).collect() });
        }
        let mut of_trace = HashMap::new();
        // Spans of one trace mostly come in a row.
        let mut last = None;
        let (mut of_item, mut sizes) = (Vec::new(), Vec::<u32>::new());
        for item in 0..count {
            let new = sizes.len();
            let trace = outline.trace_id_of(item)?.map(|trace_id| (outline.resource_of(item), trace_id));
            let unit = match (trace, last) {
                (None, _) => new,
                (Some(trace), Some((same, unit))) if trace == same => unit,
                (Some(trace), _) => *of_trace.entry(trace).or_insert(new),
            };
            last = trace.map(|trace| (trace, unit));
            if unit == new {
                sizes.push(0);
            }
            sizes[unit] += 1;
            of_item.push(unit as u32);
        }
        let mut items: Vec<u32> = (0..count).collect();
        items.sort_by_key(|item| of_item[*item as usize]);
        let mut end = 0;
        let ends = sizes.into_iter().map(|size| {
            end += size;
            end
        });
        Ok(Self { items, ends: ends.collect() })
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.items[std::mem::replace(&mut start, *end as usize)..*end as usize])
    }
}

/// A piece in the making: which items it has, and how large it would be.
///
/// Units come resource by resource, so only the last resource of a piece can still grow.
struct Draft<'o, 'a> {
    outline: &'o Outline<'a>,
    max_bytes: usize,
    items: Vec<u32>,
    /// Bytes up to the last resource.
    finished: usize,
    /// The last resource, and the bytes of its message.
    resource: Option<(u32, usize)>,
    /// The scopes so far with the bytes of their messages.
    scopes: HashMap<u32, usize>,
}

impl<'o, 'a> Draft<'o, 'a> {
    fn new(outline: &'o Outline<'a>, max_bytes: usize) -> Self {
        let finished = outline.request.len;
        Self { outline, max_bytes, items: Vec::new(), finished, resource: None, scopes: HashMap::new() }
    }

    /// Adds the items of one resource if they fit, or in any case. Whether they were added.
    fn add(&mut self, unit: &[u32], in_any_case: bool) -> bool {
        let outline = self.outline;
        let Some(first) = unit.first() else { return true };
        let resource = outline.resource_of(*first);
        let own_len = outline.resources[resource as usize].len;
        let (finished, mut len) = match self.resource {
            Some((last, len)) if last == resource => (self.finished, len),
            Some((_, len)) => (self.finished + field_len(len), own_len),
            None => (self.finished, own_len),
        };
        let mut repeated = outline.request.len + own_len;
        let mut grown = Vec::new();
        for (scope, items) in outline.by_scope(unit) {
            let own_len = outline.scopes[scope as usize].own.len;
            let before = self.scopes.get(&scope).copied();
            let added: usize = items.iter().map(|item| outline.len_of(*item)).sum();
            let after = before.unwrap_or(own_len) + added;
            len += field_len(after) - before.map_or(0, field_len);
            repeated += own_len;
            grown.push((scope, after));
        }
        let max_bytes = match repeated {
            ..=LARGE_REPEATED => self.max_bytes,
            _ => self.max_bytes.max(2 * repeated),
        };
        if !in_any_case && finished + field_len(len) > max_bytes {
            return false;
        }
        self.items.extend(unit);
        self.finished = finished;
        self.resource = Some((resource, len));
        self.scopes.extend(grown);
        true
    }

    /// The piece so far, if there is anything in it; the next one begins.
    fn take(&mut self) -> Option<Piece> {
        let items = std::mem::take(&mut self.items);
        *self = Self::new(self.outline, self.max_bytes);
        (!items.is_empty()).then(|| self.outline.piece(items))
    }
}

impl Outline<'_> {
    /// Items in ascending order, scope by scope.
    fn by_scope<'i>(&'i self, items: &'i [u32]) -> impl Iterator<Item = (u32, &'i [u32])> {
        let scopes = items.chunk_by(|a, b| self.scope_of(*a) == self.scope_of(*b));
        scopes.map(|items| (self.scope_of(items[0]), items))
    }

    /// The request with only these items, put back into their order.
    fn piece(&self, mut items: Vec<u32>) -> Piece {
        items.sort_unstable();
        let scopes = |of_resource| {
            self.by_scope(of_resource).map(|(scope, items)| {
                let own = &self.scopes[scope as usize].own;
                (own, items, own.len + items.iter().map(|item| self.len_of(*item)).sum::<usize>())
            })
        };
        let resources = || {
            items.chunk_by(|a, b| self.resource_of(*a) == self.resource_of(*b)).map(|of_resource| {
                let resource = &self.resources[self.resource_of(of_resource[0]) as usize];
                let scopes_len = scopes(of_resource).map(|(_, _, len)| field_len(len)).sum::<usize>();
                (resource, of_resource, resource.len + scopes_len)
            })
        };
        // Exactly: a megabyte that grows is copied over and over, and keeps what it did not need.
        let len = self.request.len + resources().map(|(_, _, len)| field_len(len)).sum::<usize>();
        let mut body = Vec::with_capacity(len);
        let copy =
            |body: &mut Vec<u8>, own: &OwnFields| own.parts.iter().for_each(|part| body.extend(part.of(self.body)));
        copy(&mut body, &self.request);
        for (resource, of_resource, len) in resources() {
            write::field(&mut body, RESOURCES, len);
            copy(&mut body, resource);
            for (own, items, len) in scopes(of_resource) {
                write::field(&mut body, INNER, len);
                copy(&mut body, own);
                items.iter().for_each(|item| body.extend(self.items[*item as usize].field.of(self.body)));
            }
        }
        debug_assert_eq!(body.len(), len);
        Piece { body: body.into(), items: items.len() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::count_items;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
    use prost::Message;

    fn logs(texts: &[&str]) -> ExportLogsServiceRequest {
        let record = |text: &&str| LogRecord { severity_text: text.to_string(), ..Default::default() };
        let scope_logs = vec![ScopeLogs {
            log_records: texts.iter().map(record).collect(),
            schema_url: "scope".into(),
            ..Default::default()
        }];
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { scope_logs, schema_url: "resource".into(), ..Default::default() }],
        }
    }

    /// Logs and metrics divide as traces do, and each piece repeats what was around its items.
    #[test]
    fn every_signal_divides_along_its_items() {
        let body = Bytes::from(logs(&["a", "b"]).encode_to_vec());
        let (first, second) = halve(&body, false).expect("valid").expect("two items");
        assert_eq!(ExportLogsServiceRequest::decode(first.body), Ok(logs(&["a"])));
        assert_eq!(ExportLogsServiceRequest::decode(second.body), Ok(logs(&["b"])));

        let metric = |name: &str| Metric { name: name.into(), ..Default::default() };
        let metrics = |metrics: Vec<Metric>| ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
                ..Default::default()
            }],
        };
        let body = Bytes::from(metrics(vec![metric("a"), metric("b"), metric("c")]).encode_to_vec());
        let pieces = split(&body, body.len() - 1, false).expect("valid");
        assert_eq!(pieces.iter().map(|piece| piece.items).collect::<Vec<_>>(), [2, 1]);
        let second = ExportMetricsServiceRequest::decode(pieces[1].body.clone());
        assert_eq!(second, Ok(metrics(vec![metric("c")])));
    }

    /// The limit is exact: what has just room stays whole, and one item alone may be larger.
    #[test]
    fn pieces_are_filled_to_the_last_byte() {
        let large = "x".repeat(100);
        let body = Bytes::from(logs(&["a", "b", &large, "c"]).encode_to_vec());
        let two = logs(&["a", "b"]).encoded_len();
        let items = |max_bytes| {
            let pieces = split(&body, max_bytes, false).expect("valid");
            pieces.iter().map(|piece| piece.items).collect::<Vec<_>>()
        };
        assert_eq!(items(body.len()), [4]);
        assert_eq!(items(two), [2, 1, 1]);
        assert_eq!(items(two - 1), [1, 1, 1, 1]);
        assert_eq!(items(0), [1, 1, 1, 1]);
    }

    /// Many small items in a resource of a megabyte do not become a megabyte each.
    #[test]
    fn a_large_resource_does_not_multiply() {
        let mut request = logs(&["a"; 1_000]);
        request.resource_logs[0].schema_url = "r".repeat(1 << 20);
        let body = Bytes::from(request.encode_to_vec());
        let pieces = split(&body, 1 << 20, false).expect("valid");
        assert_eq!(pieces.iter().map(|piece| piece.items).sum::<u32>(), 1_000);
        assert!(pieces.iter().map(|piece| piece.body.len()).sum::<usize>() < 4 * body.len());
    }

    /// Nothing to divide: the request comes back as it is.
    #[test]
    fn requests_without_items_stay_whole() {
        let body = Bytes::from(logs(&[]).encode_to_vec());
        assert_eq!(count_items(&body), Ok(0));
        assert_eq!(split(&body, 1, true), Ok(vec![Piece { body: body.clone(), items: 0 }]));
        assert_eq!(halve(&body, true), Ok(None));
        assert_eq!(halve(&Bytes::from(logs(&["a"]).encode_to_vec()), true), Ok(None));
    }
}
