//! The bytes room against prost: arbitrary trace requests, with unknown fields at every level and fields in any order.
//!
//! Where the walk differs from prost on purpose: it does not check text for UTF-8; attribute values may nest to 64 and
//! unknown groups to 64, where prost counts all messages together and stops at 100; and of two arrays in one value it
//! shows the last, where prost joins them.

mod shown;
mod wild;

use std::collections::HashMap;

use bytes::Bytes;
use chainspan::otlp::{Edits, WireError, count_items, halve, split, walk};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use shown::{Places, Shown, expected};
use wild::{Wild, int, text};

/// What to do to a span: `.0` picks the attribute, if there is one.
#[derive(Clone, Debug)]
enum Change {
    AppendStr(String, String),
    AppendInt(String, i64),
    Replace(prop::sample::Index, String),
    Remove(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        ("[a-z.]{0,12}", ".{0,200}").prop_map(|(key, value)| Change::AppendStr(key, value)),
        ("[a-z._]{0,12}", any::<i64>()).prop_map(|(key, value)| Change::AppendInt(key, value)),
        (any::<prop::sample::Index>(), ".{0,150}").prop_map(|(at, value)| Change::Replace(at, value)),
        any::<prop::sample::Index>().prop_map(Change::Remove),
    ]
}

fn spans(request: &mut ExportTraceServiceRequest) -> impl Iterator<Item = &mut Span> {
    request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans).flat_map(|scope| &mut scope.spans)
}

/// The spans with their resource, as texts: what must come out of a division unchanged.
fn contents(body: &[u8]) -> Vec<(String, String, Span)> {
    let request = ExportTraceServiceRequest::decode(body).expect("valid");
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let around = format!("{:?} {}", resource.resource, resource.schema_url);
        for scope in resource.scope_spans {
            let inner = format!("{:?} {}", scope.scope, scope.schema_url);
            all.extend(scope.spans.into_iter().map(|span| (around.clone(), inner.clone(), span)));
        }
    }
    all.sort_by_key(|all| format!("{all:?}"));
    all
}

fn joined(pieces: &[chainspan::otlp::Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.body.clone()).collect()
}

/// Where the fault is, as its text says.
fn offset(error: &WireError) -> usize {
    let text = error.to_string();
    let (_, rest) = text.split_once(" at byte ").expect("the offset");
    rest.split_once(':').and_then(|(offset, _)| offset.parse().ok()).expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The walk shows exactly what prost decodes: attributes, values, heads, and where each span and attribute stands.
    #[test]
    fn the_walk_shows_what_prost_decodes(request in wild::request(), seed in any::<u64>()) {
        let body = Wild::new(seed).request(&request);
        let decoded = ExportTraceServiceRequest::decode(body.as_slice()).expect("still valid");
        let mut shown = Shown::new(&body);
        let walked = walk(&body, &mut shown).expect("valid");
        prop_assert_eq!(walked.spans, count_items(&body).expect("valid"));
        prop_assert_eq!(shown.lines, expected(&decoded));
    }

    /// Edited bytes decode to the edited structs; without its edits, the request is what it was, unknown fields included.
    #[test]
    fn edits_do_to_the_bytes_what_they_do_to_the_structs(
        request in wild::request(),
        seed in any::<u64>(),
        changes in vec(vec(change(), 0..4), 0..12),
    ) {
        let body = Wild::new(seed).request(&request);
        let mut places = Places::default();
        walk(&body, &mut places).expect("valid");
        let mut decoded = ExportTraceServiceRequest::decode(body.as_slice()).expect("valid");
        let mut edits = Edits::default();
        let mut appended = 0;
        for ((span, (place, attributes)), changes) in spans(&mut decoded).zip(&places.spans).zip(&changes) {
            let mut touched = HashMap::new();
            let mut new = Vec::new();
            let mut edit = edits.span(*place).expect("ascending");
            for change in changes {
                match change {
                    Change::AppendStr(key, value) => {
                        edit.append(|attributes| attributes.str(key, value)).expect("small");
                        new.push(text(key, value));
                    }
                    Change::AppendInt(key, value) => {
                        edit.append(|attributes| attributes.int(key, *value)).expect("small");
                        new.push(int(key, *value));
                    }
                    Change::Replace(at, value) if !attributes.is_empty() => {
                        let at = at.index(attributes.len());
                        let result = edit.replace_with_str(&body, attributes[at], value);
                        prop_assert_eq!(result.is_ok(), !touched.contains_key(&at));
                        touched.entry(at).or_insert(Some(value.clone()));
                    }
                    Change::Remove(at) if !attributes.is_empty() => {
                        let at = at.index(attributes.len());
                        prop_assert_eq!(edit.remove(attributes[at]).is_ok(), !touched.contains_key(&at));
                        touched.entry(at).or_insert(None);
                    }
                    _ => {}
                }
            }
            appended += new.len();
            let mut index = 0;
            span.attributes.retain_mut(|attribute| {
                index += 1;
                match touched.get(&(index - 1)) {
                    Some(Some(value)) => {
                        attribute.value = text("", value).value;
                        true
                    }
                    Some(None) => false,
                    None => true,
                }
            });
            span.attributes.extend(new);
        }
        let edited = edits.apply(&body).expect("the same body");
        prop_assert_eq!(edited.len(), edits.len_after(body.len()));
        prop_assert_eq!(ExportTraceServiceRequest::decode(edited.clone()).expect("valid"), decoded);
        prop_assert!(walk(&edited, &mut Places::default()).is_ok());
        if edits.is_empty() {
            prop_assert_eq!(edited.as_ref(), body.as_slice());
        }

        // Unknown fields carry numbers that nothing else has, and payloads that are counted.
        let replaced = changes.iter().flatten().any(|change| matches!(change, Change::Replace(..) | Change::Remove(_)));
        if !replaced {
            prop_assert_eq!(wild::unknown_payloads(&edited), wild::unknown_payloads(&body));
            // Taking the appended attributes away again gives back what was there, but for the width of lengths.
            let mut again = Places::default();
            walk(&edited, &mut again).expect("valid");
            let mut back = Edits::default();
            let mut taken = 0;
            for ((place, attributes), (_, before)) in again.spans.iter().zip(&places.spans) {
                for attribute in &attributes[before.len()..] {
                    back.span(*place).expect("ascending").remove(*attribute).expect("untouched");
                    taken += 1;
                }
            }
            prop_assert_eq!(taken, appended);
            prop_assert_eq!(back.apply(&edited).expect("the same body"), &body);
        }
        edits.clear();
        prop_assert!(edits.is_empty());
        prop_assert_eq!(edits.apply(&body).expect("nothing to do"), &body);
    }

    /// Pieces hold every span once, with its resource and scope, and keep to the size and the traces where they can.
    #[test]
    fn split_conserves_spans_sizes_and_traces(
        request in wild::request(),
        seed in any::<u64>(),
        max_bytes in 1_usize..4_000,
        together in any::<bool>(),
    ) {
        let body = Bytes::from(Wild::new(seed).request(&request));
        let total = count_items(&body).expect("valid");
        let pieces = split(&body, max_bytes, together).expect("valid");
        prop_assert_eq!(pieces.iter().map(|piece| piece.items).sum::<u32>(), total);
        prop_assert_eq!(contents(&joined(&pieces)), contents(&body));
        for piece in &pieces {
            prop_assert_eq!(count_items(&piece.body), Ok(piece.items));
            prop_assert!(piece.body.len() <= max_bytes || piece.items < 2, "{} > {max_bytes}", piece.body.len());
            walk(&piece.body, &mut Places::default()).expect("valid");
        }
    }

    /// A trace of one resource that would fit into a piece of its own is in one piece, in one message for its resource.
    #[test]
    fn split_keeps_traces_together(mut request in wild::request(), max_bytes in 1_usize..4_000) {
        // Names that tell the resources apart.
        for (index, resource) in request.resource_spans.iter_mut().enumerate() {
            resource.schema_url = index.to_string();
        }
        let pieces = split(&request.encode_to_vec().into(), max_bytes, true).expect("valid");
        let mut homes: HashMap<(String, Vec<u8>), u32> = HashMap::new();
        for piece in pieces {
            for resource in ExportTraceServiceRequest::decode(piece.body).expect("valid").resource_spans {
                let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
                let mut traces: Vec<_> = spans.map(|span| &span.trace_id).collect();
                traces.sort();
                traces.dedup();
                for trace in traces {
                    *homes.entry((resource.schema_url.clone(), trace.clone())).or_default() += 1;
                }
            }
        }
        for ((resource, trace), homes) in homes {
            let mut alone = request.clone();
            alone.resource_spans.retain(|other| other.schema_url == resource);
            for scopes in &mut alone.resource_spans {
                scopes.scope_spans.iter_mut().for_each(|scope| scope.spans.retain(|span| span.trace_id == trace));
                scopes.scope_spans.retain(|scope| !scope.spans.is_empty());
            }
            prop_assert!(homes == 1 || trace.is_empty() || alone.encoded_len() > max_bytes, "torn without need");
        }
    }

    /// Halving the halves ends at single spans, each of which was there once.
    #[test]
    fn halving_comes_down_to_single_spans(request in wild::request(), seed in any::<u64>(), together in any::<bool>()) {
        let body = Bytes::from(Wild::new(seed).request(&request));
        let mut singles = Vec::new();
        let mut left = vec![body.clone()];
        while let Some(next) = left.pop() {
            let Some((first, second)) = halve(&next, together).expect("valid") else {
                singles.push(next);
                continue;
            };
            prop_assert!(first.items > 0 && second.items > 0);
            prop_assert_eq!(first.items + second.items, count_items(&next).expect("valid"));
            if !together {
                prop_assert!(first.items.abs_diff(second.items) <= 1);
            }
            left.extend([second.body, first.body]);
        }
        let total = count_items(&body).expect("valid") as usize;
        prop_assert_eq!(singles.len(), total.max(1));
        prop_assert_eq!(contents(&singles.concat()), contents(&body));
    }

    /// One byte changed anywhere: no panic, and no quarrel with prost but over the intended differences.
    #[test]
    fn damaged_requests_are_judged_as_prost_judges_them(
        request in wild::request(),
        seed in any::<u64>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut body = Wild::new(seed).request(&request);
        if !body.is_empty() {
            for (at, byte) in damage {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if let Some(cut) = cut {
                body.truncate(cut.index(body.len()));
            }
        }
        agree(&body)?;
    }

    #[test]
    fn arbitrary_bytes_are_judged_as_prost_judges_them(body in vec(any::<u8>(), 0..200)) {
        agree(&body)?;
    }
}

fn agree(body: &[u8]) -> Result<(), TestCaseError> {
    let ours = walk(body, &mut Shown::new(body));
    let theirs = ExportTraceServiceRequest::decode(body);
    match (&ours, &theirs) {
        (Ok(_), Err(error)) => {
            let intended = ["UTF-8", "recursion limit"];
            prop_assert!(intended.iter().any(|text| error.to_string().contains(text)), "only prost refuses: {error}");
        }
        (Err(error), Ok(_)) => {
            prop_assert!(error.to_string().contains("nested deeper than"), "only the walk refuses: {error}");
        }
        _ => {}
    }
    if let Err(error) = &ours {
        prop_assert!(offset(error) <= body.len());
    }
    // What cannot be divided is not valid.
    let bytes = Bytes::copy_from_slice(body);
    for together in [false, true] {
        match (split(&bytes, 50, together), halve(&bytes, together)) {
            (Ok(pieces), Ok(_)) => {
                let items: u32 = pieces.iter().map(|piece| piece.items).sum();
                prop_assert_eq!(Ok(items), count_items(body));
            }
            (split, halve) => prop_assert!(split.is_err() && halve.is_err() && ours.is_err()),
        }
    }
    Ok(())
}
