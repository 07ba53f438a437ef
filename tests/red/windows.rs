//! Event time: every span counts once, in the window of its end, and every window is handed out once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chainspan::gateway::Operation;
use chainspan::red::{ChainLabel, Exemplar, Metric, Observation, Red, RedSettings, SeriesValue, WINDOW_NANO, Window};
use proptest::prelude::*;

use crate::support::*;

const SECOND: u64 = 1_000_000_000;
/// The start of a window.
const T: u64 = 1_700_000_000 * SECOND;

fn ended(end: u64) -> Observation {
    Observation { end_unix_nano: end, ..success(Some(chain(1)), Operation::Task, SECOND) }
}

fn traced(end: u64, duration_nano: u64, id: u8) -> Observation {
    let observation = success(Some(chain(1)), Operation::Task, duration_nano);
    Observation { end_unix_nano: end, trace_id: [id; 16], span_id: [id; 8], ..observation }
}

fn starting(start_unix_nano: u64) -> RedSettings {
    RedSettings { start_unix_nano, ..settings() }
}

fn operations(window: &Window) -> u64 {
    window.snapshot.total(Metric::Operations, |_| true)
}

/// (start, end, operations) in seconds after T.
fn shape(windows: &[Window]) -> Vec<(u64, u64, u64)> {
    windows.iter().map(|w| ((w.start_unix_nano - T) / SECOND, (w.end_unix_nano - T) / SECOND, operations(w))).collect()
}

/// Rule 3: the current window, the one before, late, future. Rule 4: handed out ten seconds after its end, once.
#[test]
fn a_span_counts_in_the_window_of_its_end() {
    let red = Red::new(starting(T));
    let now = T + 25 * SECOND;
    red.commit(
        &stage(vec![
            ended(now),
            ended(T + 20 * SECOND),
            ended(T + 20 * SECOND - 1),
            ended(T + 10 * SECOND),
            ended(T + 10 * SECOND - 1),
            ended(T - 600 * SECOND),
            ended(T + 30 * SECOND),
        ]),
        now,
    );
    assert!(red.close(T + 30 * SECOND - 1).is_empty(), "nothing is over yet");
    let closed = red.close(T + 30 * SECOND);
    assert_eq!(shape(&closed), [(10, 20, 4)], "two in time, two late ones");
    assert_eq!((closed[0].snapshot.late, closed[0].snapshot.future), (2, 0));
    assert!(red.close(T + 30 * SECOND).is_empty(), "once");
    let closed = red.close(T + 40 * SECOND);
    assert_eq!(shape(&closed), [(20, 30, 3)]);
    assert_eq!((closed[0].snapshot.late, closed[0].snapshot.future), (0, 1));
    for series in closed.iter().flat_map(|window| &window.snapshot.families).flat_map(|family| &family.series) {
        assert_eq!(series.start_unix_nano, T + 20 * SECOND, "all points of a window share its start");
    }
    let totals = red.snapshot(0);
    assert_eq!((totals.total(Metric::Operations, |_| true), totals.late, totals.future), (7, 2, 1));
}

/// A batch that was held back counts as late; it is not moved into the window of its arrival.
#[test]
fn a_batch_that_was_held_back_is_late_and_not_young() {
    let red = Red::new(starting(T));
    let now = T + 605 * SECOND;
    red.commit(&stage(vec![ended(T + 5 * SECOND); 100]), now);
    let windows = red.flush(now);
    assert_eq!(shape(&windows), [(590, 600, 100), (600, 605, 0)], "the current window has its gauges");
    assert_eq!(windows[0].snapshot.late, 100);
}

/// Rule 4 at shutdown: everything open is handed out, the current window is cut; the next process begins where it starts
/// and not before, whatever it is sent.
#[test]
fn shutdown_cuts_and_restart_does_not_overlap() {
    let before = Red::new(starting(T));
    before.commit(&stage(vec![ended(T + SECOND), ended(T + 11 * SECOND)]), T + 12 * SECOND);
    let cut = before.flush(T + 13 * SECOND);
    assert_eq!(shape(&cut), [(0, 10, 1), (10, 13, 1)]);
    assert!(before.flush(T + 13 * SECOND).iter().all(|window| operations(window) == 0), "once");
    // What comes after the cut in the same process counts in what is left of the window.
    before.commit(&stage(vec![ended(T + 12 * SECOND)]), T + 14 * SECOND);
    assert_eq!(shape(&before.close(T + 30 * SECOND))[0], (13, 20, 1));

    let after = Red::new(starting(T + 15 * SECOND));
    after.commit(&stage(vec![ended(T + 2 * SECOND), ended(T + 16 * SECOND)]), T + 17 * SECOND);
    let windows = after.close(T + 30 * SECOND);
    assert_eq!(shape(&windows), [(15, 20, 2)]);
    assert_eq!(windows[0].snapshot.late, 1);
}

/// A wall clock that jumps back by an hour reopens nothing: its spans join the oldest open window, and are late.
#[test]
fn a_clock_that_jumps_back_reopens_nothing() {
    let red = Red::new(starting(T));
    red.commit(&stage(vec![ended(T + 3_600 * SECOND)]), T + 3_600 * SECOND);
    assert_eq!(red.close(T + 3_620 * SECOND).iter().map(operations).sum::<u64>(), 1);
    red.commit(&stage(vec![ended(T + 5 * SECOND)]), T + 6 * SECOND);
    assert!(red.close(T + 7 * SECOND).is_empty());
    let windows = red.close(T + 3_640 * SECOND);
    let counted: Vec<_> = windows.iter().filter(|window| operations(window) > 0).collect();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].start_unix_nano, T + 3_610 * SECOND);
    assert_eq!(counted[0].snapshot.late, 1);
}

/// Nobody fetches the windows for an hour: memory stays bounded, and what is fetched then is complete and contiguous.
#[test]
fn windows_that_nobody_fetches_are_joined_and_not_lost() {
    let red = Red::new(starting(T));
    for second in (0..3_600).step_by(5) {
        let now = T + second * SECOND;
        red.commit(&stage(vec![ended(now)]), now);
        red.snapshot(0);
    }
    let windows = red.flush(T + 3_600 * SECOND);
    assert!(windows.len() <= 40, "{}", windows.len());
    assert_eq!(windows.iter().map(operations).sum::<u64>(), 720);
    assert!(windows.windows(2).all(|pair| pair[0].end_unix_nano <= pair[1].start_unix_nano));
    // The same when nobody looks at all.
    let red = Red::new(starting(T));
    (0..360).for_each(|n| red.commit(&stage(vec![ended(T + n * WINDOW_NANO)]), T + n * WINDOW_NANO));
    assert_eq!(red.flush(T + 3_600 * SECOND).iter().map(operations).sum::<u64>(), 360);
}

proptest! {
    /// Whatever the spans' clocks and ours do, and whenever the windows are fetched: windows never overlap, each is handed
    /// out once, and together they hold exactly what the running totals do, series by series, to the nanosecond.
    #[test]
    fn windows_add_up_to_the_totals(
        steps in prop::collection::vec((-40i64..60, -60i64..40, 0u64..10_000, 0u8..4), 1..150),
    ) {
        let red = Red::new(starting(T));
        let (mut now, mut windows) = (T as i64, Vec::new());
        for (step, end, number, close) in steps {
            now = (now + step * SECOND as i64 / 4).max(T as i64);
            let observation = varied(Some(chain(number % 3 + 1)), number);
            let end_unix_nano = (now + end * SECOND as i64) as u64;
            red.commit(&stage(vec![Observation { end_unix_nano, ..observation }]), now as u64);
            match close {
                0 => windows.extend(red.close(now as u64)),
                1 => drop(red.snapshot(0)),
                _ => {}
            }
        }
        windows.extend(red.flush(now as u64));
        for pair in windows.windows(2) {
            prop_assert!(pair[0].start_unix_nano < pair[0].end_unix_nano);
            prop_assert!(pair[0].end_unix_nano <= pair[1].start_unix_nano);
        }
        let totals = red.snapshot(0);
        for family in &totals.families {
            for series in &family.series {
                let same = windows.iter().flat_map(|window| window.snapshot.series(family.metric));
                let same: Vec<_> = same.filter(|other| other.attributes == series.attributes).collect();
                prop_assert_eq!(same.iter().map(|other| other.value.count()).sum::<u64>(), series.value.count());
                if let Some(classic) = series.value.classic() {
                    let sums = same.iter().filter_map(|other| other.value.classic()).map(|other| other.sum());
                    prop_assert_eq!(sums.sum::<i128>(), classic.sum());
                }
            }
        }
    }
}

/// Rule 9: the four slowest of the window, slowest first, each with ids that lead somewhere; the running totals carry
/// those of the last window that had any.
#[test]
fn exemplars_are_the_slowest_of_their_window() {
    let red = Red::new(starting(T));
    let spans = (1..=50u8).map(|id| traced(T + 5 * SECOND, u64::from(id) * SECOND, id));
    let mut spans: Vec<_> = spans.collect();
    // Slower, but their ids are not valid.
    spans.push(Observation { trace_id: [0; 16], ..traced(T + 5 * SECOND, 100 * SECOND, 60) });
    spans.push(Observation { span_id: [0; 8], ..traced(T + 5 * SECOND, 100 * SECOND, 61) });
    spans.chunks(7).for_each(|request| red.commit(&stage(request.to_vec()), T + 6 * SECOND));
    red.commit(&stage(vec![traced(T + 15 * SECOND, 1, 7)]), T + 16 * SECOND);
    let of = |exemplars: &[Exemplar]| exemplars.iter().map(|exemplar| exemplar.trace_id[0]).collect::<Vec<_>>();
    let windows = red.flush(T + 17 * SECOND);
    let exemplars = |window: &Window| of(&window.snapshot.series(Metric::OperationDuration)[0].exemplars);
    assert_eq!(exemplars(&windows[0]), [50, 49, 48, 47]);
    assert_eq!(exemplars(&windows[1]), [7]);
    let totals = red.snapshot(0);
    let latest = &totals.series(Metric::OperationDuration)[0].exemplars;
    assert_eq!(of(latest), [7]);
    assert_eq!((latest[0].duration_nano, latest[0].end_unix_nano, latest[0].span_id), (1, T + 15 * SECOND, [7; 8]));

    let none = Red::new(RedSettings { exemplars: 0, ..settings() });
    none.commit(&stage(vec![traced(T, 1, 1)]), T);
    assert!(none.snapshot(0).series(Metric::OperationDuration)[0].exemplars.is_empty());
}

/// Rule 5 under stress: three threads commit with a clock that runs through the windows, one closes windows and one takes
/// snapshots. At every look count, buckets and sum belong together; in the end nothing is lost, doubled or in two windows.
#[test]
fn nothing_tears_while_windows_turn() {
    const REQUESTS: u64 = 3_000;
    let red = Red::new(starting(T));
    let clock = std::sync::atomic::AtomicU64::new(T);
    let done = AtomicBool::new(false);
    let sound = |snapshot: &chainspan::red::Snapshot| {
        for series in snapshot.series(Metric::OperationDuration) {
            let SeriesValue::Duration(histogram) = &series.value else { panic!("a duration") };
            let fine: u64 = histogram.exponential().map(|(_, count)| count).sum();
            assert_eq!(fine + histogram.zero_count(), histogram.count());
            let ChainLabel::Id(id) = series.attributes.chain else { panic!("all have a chain") };
            let each = i128::from(id.get()) * 1_000_000;
            assert_eq!(histogram.classic().sum(), i128::from(histogram.count()) * each);
            assert_eq!(histogram.classic().min().map(i128::from), Some(each));
            let of_chain = |attributes: &chainspan::red::Attributes| attributes.chain == series.attributes.chain;
            assert_eq!(snapshot.total(Metric::Operations, of_chain), histogram.count());
        }
    };
    let windows = std::thread::scope(|scope| {
        let closer = scope.spawn(|| {
            let mut windows = Vec::new();
            while !done.load(Ordering::Acquire) {
                windows.extend(red.close(clock.load(Ordering::Relaxed)));
            }
            windows
        });
        let looker = scope.spawn(|| {
            let mut before = 0;
            while !done.load(Ordering::Acquire) {
                let snapshot = red.snapshot(0);
                sound(&snapshot);
                let total = snapshot.total(Metric::Operations, |_| true);
                assert!(total >= before && total.is_multiple_of(3), "whole requests, and never fewer");
                before = total;
            }
        });
        let committers = [1, 2, 3].map(|id| {
            let (red, clock) = (&red, &clock);
            scope.spawn(move || {
                for _ in 0..REQUESTS {
                    let now = clock.fetch_add(SECOND / 10, Ordering::Relaxed);
                    let span = |end| Observation {
                        end_unix_nano: end,
                        ..success(Some(chain(id)), Operation::Task, id * 1_000_000)
                    };
                    red.commit(&stage(vec![span(now), span(now - 8 * SECOND), span(now + SECOND)]), now);
                }
            })
        });
        let ended = committers.map(|committer| committer.join());
        done.store(true, Ordering::Release);
        ended.into_iter().for_each(|committer| committer.expect("no panic"));
        looker.join().expect("no assertion failed");
        let mut windows = closer.join().expect("no panic");
        windows.extend(red.flush(clock.load(Ordering::Relaxed)));
        windows
    });
    let mut by_chain = BTreeMap::<ChainLabel, u64>::new();
    for window in &windows {
        sound(&window.snapshot);
        for series in window.snapshot.series(Metric::Operations) {
            *by_chain.entry(series.attributes.chain).or_default() += series.value.count();
        }
    }
    assert_eq!(by_chain.into_values().collect::<Vec<_>>(), [3 * REQUESTS; 3]);
    assert!(windows.windows(2).all(|pair| pair[0].end_unix_nano <= pair[1].start_unix_nano));
    assert_eq!(red.snapshot(0).total(Metric::Operations, |_| true), 9 * REQUESTS);
}
