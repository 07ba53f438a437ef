//! Any bytes as a configuration file: an answer, in bounded time and memory, and every mistake has its line.
#![no_main]

use chainspan::config::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let env = |name: &str| (name == "SET").then(|| "7s".to_owned());
    if let Err(errors) = parse(text, "f", &env) {
        let shown = errors.to_string();
        let place = shown.strip_prefix("f:").expect("the file is named");
        let (line, _) = place.split_once(':').expect("and the line");
        // A carriage return alone ends a line, too (YAML 1.2.2, section 5.4); the end of the file may be a line of its own.
        let lines =
            text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r').count()).sum::<usize>();
        assert!(line.parse::<usize>().is_ok_and(|line| (1..=lines + 1).contains(&line)), "{shown}");
    }
});
