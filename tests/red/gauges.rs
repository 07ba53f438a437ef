//! Gauges by event time: a window shows what the span says that ended last by the end of it, the running totals what the
//! span says that ended last of all.

use chainspan::gateway::{FailureReason, Operation};
use chainspan::red::{
    Metric, Observation, ObservedState, Reading, Red, RedSettings, SeriesValue, Stage, Subject, Window,
};

use crate::support::{SnapshotExt, chain, failure, settings, stage, success};

const SECOND: u64 = 1_000_000_000;
/// The start of a window.
const T: u64 = 1_700_000_000 * SECOND;

fn gap(value: i64, end_unix_nano: u64) -> Reading {
    let subject = Subject { name: "hot".into(), instance: "".into() };
    Reading { dims: 0, chain: Some(chain(1)), end_unix_nano, state: ObservedState::NonceGap(value), subject }
}

fn gaps(readings: Vec<Reading>) -> Stage {
    Stage { readings, ..stage(Vec::new()) }
}

fn red() -> Red {
    Red::new(RedSettings { start_unix_nano: T, ..settings() })
}

/// Start of each window in seconds after T, and the value of the gauge in it.
fn shown(windows: &[Window], metric: Metric) -> Vec<(u64, Option<f64>)> {
    let value = |window: &Window| match window.snapshot.series(metric).first()?.value {
        SeriesValue::Gauge(value) => Some(value),
        _ => panic!("a gauge"),
    };
    windows.iter().map(|window| ((window.start_unix_nano - T) / SECOND, value(window))).collect()
}

/// What is seen while a window waits to be closed belongs to the next one, however late the window is closed; a window in
/// which nothing was seen shows what the one before it did, and one before the first sight shows nothing.
#[test]
fn a_window_shows_what_ended_last_in_it() {
    let red = red();
    red.commit(&stage(vec![success(Some(chain(1)), Operation::Task, 1)]), T + SECOND);
    red.commit(&gaps(vec![gap(3, T + 12 * SECOND), gap(4, T + 13 * SECOND)]), T + 14 * SECOND);
    red.snapshot(0);
    // The next window has begun, the one before is still open.
    red.commit(&gaps(vec![gap(5, T + 21 * SECOND), gap(9, T + 11 * SECOND), gap(7, T + 19 * SECOND)]), T + 22 * SECOND);
    let windows = red.close(T + 35 * SECOND);
    assert_eq!(shown(&windows, Metric::TxNonceGap), [(0, None), (10, Some(7.0))]);
    let windows = red.close(T + 55 * SECOND);
    assert_eq!(shown(&windows, Metric::TxNonceGap), [(20, Some(5.0)), (30, Some(5.0))]);
    red.commit(&gaps(vec![gap(1, T + 56 * SECOND)]), T + 57 * SECOND);
    let flushed = red.flush(T + 58 * SECOND);
    assert_eq!(shown(&flushed, Metric::TxNonceGap), [(40, Some(5.0)), (50, Some(1.0))]);
}

/// The running totals are ahead of the windows: they show what ended last of all at once.
#[test]
fn running_totals_show_the_last_at_once() {
    let red = red();
    red.commit(&gaps(vec![gap(3, T + 5 * SECOND), gap(8, T + 15 * SECOND)]), T + 16 * SECOND);
    let snapshot = red.snapshot(0);
    assert!(matches!(snapshot.series(Metric::TxNonceGap)[0].value, SeriesValue::Gauge(8.0)));
    let windows = red.close(T + 25 * SECOND);
    assert_eq!(shown(&windows, Metric::TxNonceGap), [(0, Some(3.0))]);
    assert!(matches!(red.snapshot(0).series(Metric::TxNonceGap)[0].value, SeriesValue::Gauge(8.0)));
}

/// A late reading joins the oldest open window, as a late span does, and yields to what ended after it; one from the future
/// joins the current window.
#[test]
fn late_and_future_readings_join_the_open_windows() {
    let red = red();
    red.commit(&gaps(vec![gap(3, T + 31 * SECOND)]), T + 32 * SECOND);
    red.commit(&gaps(vec![gap(6, T + SECOND)]), T + 33 * SECOND);
    let windows = red.close(T + 50 * SECOND);
    assert_eq!(shown(&windows, Metric::TxNonceGap), [(20, Some(6.0)), (30, Some(3.0))]);
    red.commit(&gaps(vec![gap(2, T + 1_000 * SECOND)]), T + 51 * SECOND);
    let windows = red.close(T + 70 * SECOND);
    assert_eq!(shown(&windows, Metric::TxNonceGap), [(40, Some(3.0)), (50, Some(2.0))]);
}

/// The age of the last success in a window is as of its end, and of the successes that had ended by then.
#[test]
fn the_age_of_a_success_is_that_of_its_window() {
    let red = red();
    let ended = |end| Observation { end_unix_nano: end, ..success(Some(chain(1)), Operation::Task, 1) };
    red.commit(&stage(vec![ended(T + 4 * SECOND)]), T + 5 * SECOND);
    red.commit(&stage(vec![ended(T + 12 * SECOND)]), T + 13 * SECOND);
    let failed = failure(Some(chain(1)), Operation::Task, FailureReason::Timeout, 1);
    red.commit(&stage(vec![Observation { end_unix_nano: T + 21 * SECOND, ..failed }]), T + 21 * SECOND);
    let windows = red.close(T + 40 * SECOND);
    assert_eq!(shown(&windows, Metric::LastSuccessAge), [(0, Some(6.0)), (10, Some(8.0)), (20, Some(18.0))]);
}
