//! Counts the requests that were not answered OK.

use metrics::Counter;
use tonic::Code;

use crate::delivery::{Signal, code_name};
use crate::otlp::PerSignal;
use crate::telemetry::{FAILED_REQUESTS, Telemetry};

/// The codes of failures: gRPC has 17 codes, 0 to 16, and 0 is OK.
const FAILURES: std::ops::Range<i32> = 1..17;

/// `chainspan_receiver_failed_requests_total{signal, code}`, with every handle made once.
#[derive(Debug)]
pub(super) struct FailedRequests {
    failed: PerSignal<Vec<Counter>>,
}

impl FailedRequests {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        Self::with(|signal, code| telemetry.counter(FAILED_REQUESTS, &[("signal", signal), ("code", code)]))
    }

    pub(super) fn with(counter: impl Fn(&'static str, &'static str) -> Counter) -> Self {
        let of =
            |signal: Signal| FAILURES.map(|code| counter(signal.name(), code_name(Code::from_i32(code)))).collect();
        Self { failed: PerSignal::from_fn(of) }
    }

    /// One more request of `signal` was answered with `code`.
    pub(super) fn count(&self, signal: Signal, code: Code) {
        let of_signal = &self.failed[signal];
        let place = usize::try_from(i32::from(code) - FAILURES.start);
        if let Some(counter) = place.ok().and_then(|place| of_signal.get(place)) {
            counter.increment(1);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn each_signal_and_code_has_its_own_counter() {
        let counters: Mutex<HashMap<(String, String), Arc<AtomicU64>>> = Mutex::default();
        let failed = FailedRequests::with(|signal, code| {
            let counter = Arc::new(AtomicU64::new(0));
            counters.lock().unwrap().insert((signal.into(), code.into()), counter.clone());
            Counter::from_arc(counter)
        });
        failed.count(Signal::Logs, Code::Unavailable);
        failed.count(Signal::Logs, Code::Unavailable);
        failed.count(Signal::Traces, Code::InvalidArgument);
        let counters = counters.into_inner().unwrap();
        assert!(!counters.keys().any(|(_, code)| code == "OK"), "no failure is called OK");
        let counted: HashMap<_, _> = counters
            .iter()
            .map(|((signal, code), counter)| ((signal.as_str(), code.as_str()), counter.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counted, HashMap::from([(("logs", "UNAVAILABLE"), 2), (("traces", "INVALID_ARGUMENT"), 1)]));
    }
}
