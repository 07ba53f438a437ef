//! Any bytes: the walk ends with a verdict, and what it shows lies where it says.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run walk` works with a stable compiler.
#![no_main]

use chainspan::otlp::{AttributePlace, SpanHead, Value, Visitor, count_items, walk};
use libfuzzer_sys::fuzz_target;

struct Check<'a> {
    body: &'a [u8],
    spans: u32,
}

impl<'a> Visitor<'a> for Check<'a> {
    fn restart(&mut self) {
        self.spans = 0;
    }

    fn span_attribute(&mut self, key: &'a [u8], _: Value<'a>, place: AttributePlace) {
        let field = &self.body[place.start as usize..place.end as usize];
        assert!(key.is_empty() || field.windows(key.len()).any(|window| window == key));
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        self.spans += 1;
        let place = span.place;
        assert!(place.resource_spans.start <= place.scope_spans.length_at);
        assert!(place.scope_spans.start <= place.span.length_at);
        assert!(place.span.end <= place.scope_spans.end && place.scope_spans.end <= place.resource_spans.end);
        assert!(place.resource_spans.end as usize <= self.body.len());
    }
}

fuzz_target!(|body: &[u8]| {
    let mut check = Check { body, spans: 0 };
    match walk(body, &mut check) {
        Ok(walked) => {
            assert_eq!(walked.spans, check.spans);
            assert_eq!(count_items(body), Ok(walked.spans));
        }
        Err(error) => {
            let text = error.to_string();
            let (_, rest) = text.split_once(" at byte ").expect("says where");
            let offset = rest.split_once(':').and_then(|(offset, _)| offset.parse::<usize>().ok());
            assert!(offset.is_some_and(|offset| offset <= body.len()));
        }
    }
});
