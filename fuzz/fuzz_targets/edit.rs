//! Any valid request, and edits that the first bytes choose: the result is valid, as long as promised, and taking the
//! appended attributes away again leaves the spans they were appended to.
#![no_main]

use chainspan::otlp::{AttributePlace, Edits, SpanHead, SpanPlace, Value, Visitor, walk};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Places {
    attributes: Vec<AttributePlace>,
    spans: Vec<(SpanPlace, Vec<AttributePlace>)>,
    contents: Vec<String>,
}

impl<'a> Visitor<'a> for Places {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, place: AttributePlace) {
        self.contents.push(format!("{key:?} {value:?}"));
        self.attributes.push(place);
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        self.contents.push(format!("{:?} {:?} {:?}", span.name, span.trace_id, span.status_message));
        self.spans.push((span.place, std::mem::take(&mut self.attributes)));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choices, body)) = data.split_at_checked(8) else { return };
    let mut places = Places::default();
    if walk(body, &mut places).is_err() {
        return;
    }
    let mut edits = Edits::default();
    let mut attributes = 0_i64;
    for (index, (place, of_span)) in places.spans.iter().enumerate() {
        let choice = choices[index % choices.len()];
        let mut span = edits.span(*place).expect("ascending");
        if choice & 1 != 0 {
            span.append(|attributes| attributes.str("chain_id", "11155111")).expect("small");
            attributes += 1;
        }
        if let Some(last) = of_span.last() {
            match choice >> 1 & 3 {
                1 => span.replace_with_str(body, *last, "1").expect("untouched"),
                2 => {
                    span.remove(*last).expect("untouched");
                    attributes -= 1;
                }
                _ => {}
            }
        }
    }
    let edited = edits.apply(body).expect("the same body");
    assert_eq!(edited.len(), edits.len_after(body.len()));
    let mut after = Places::default();
    walk(&edited, &mut after).expect("edits keep a request valid");
    assert_eq!(after.spans.len(), places.spans.len());
    assert_eq!(after.contents.len() as i64, places.contents.len() as i64 + attributes);
});
