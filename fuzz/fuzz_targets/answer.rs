//! Any bytes as a destination's answer: its status, message and details among the trailers, and its body. Whatever it says,
//! texts and pauses stay within their limits, and only the status decides whether the data has arrived.
#![no_main]

use chainspan::fuzzing::{Answer, read_answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [code, message, details, rest @ ..] = bytes else { return };
    let (message, rest) = rest.split_at(usize::from(*message).min(rest.len()));
    let (details, body) = rest.split_at(usize::from(*details).min(rest.len()));
    let code = (code % 20).to_string();
    let framed = [&[0; 5][..], body].concat();
    for body in [body, &framed] {
        match read_answer([code.as_bytes(), message, details], body) {
            Some(Answer::Acknowledged(_)) => assert_eq!(code, "0"),
            Some(Answer::Failed(_)) => assert_ne!(code, "0"),
            None => {}
        }
    }
});
