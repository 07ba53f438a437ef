//! OTLP metric exports compared with the truth, window by window.
//!
//! In which window a span is counted depends on the moment of the commit, which is not always known from outside. So there
//! are two checks. [`WindowScope::Totals`]: whatever the windows are, they are well formed, exported once, do not overlap, and
//! add up to the truth. [`WindowScope::EachWindow`], for runs in which nothing was late or from the future: every window
//! holds exactly what ended in it.
//!
//! A gauge is a state, not a sum: each window shows the value of the span that ended last before the window's end, also
//! when nothing new was recorded. Of the totals only the last point can be known.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, metric::Data};

use super::point::Point;
use super::read::PointReader;
use crate::series::{self, Expected, MetricFamily, Series};
use crate::truth::{Truth, WINDOW_NANO};

/// Half the width of a bucket of scale 6, relative to the value in its middle.
const QUANTILE_ERROR: f64 = 0.005_416;

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowScope {
    /// Sums over all windows.
    Totals,
    /// Also each window by itself: nothing may have been late, from the future or ambiguous, and the truth must keep
    /// [windows](Truth::by_window).
    EachWindow,
}

/// What a check of the windows found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowReport {
    /// Start and end of every window that has a point, oldest first, nanoseconds since the Unix epoch.
    pub windows: Vec<(u64, u64)>,
    /// Windows that do not begin where the one before ended.
    pub gaps: u64,
    /// Partial windows: those of a start and of a shutdown.
    pub ragged: u64,
    /// Data points of the compared families.
    pub points: u64,
    /// Exemplars among them.
    pub exemplars: u64,
    /// Everything that is wrong, one sentence each.
    pub problems: Vec<String>,
}

type Sums = BTreeMap<Series, Point>;

/// Compares `exports` with `truth` in `families`. `namespace` is the configured one (`avs.gateway`).
pub fn check(
    exports: &[ExportMetricsServiceRequest],
    truth: &Truth,
    namespace: &str,
    families: &[MetricFamily],
    scope: WindowScope,
) -> WindowReport {
    let mut found = WindowReport::default();
    let mut seen: BTreeSet<(Series, String, (u64, u64))> = BTreeSet::new();
    let mut windows: BTreeMap<(u64, u64), Sums> = BTreeMap::new();
    for resource in exports.iter().flat_map(|export| &export.resource_metrics) {
        for (family, data) in known(resource, namespace, families) {
            let reader = PointReader { family, resource: resource.resource.as_ref() };
            for read in reader.points(data) {
                match read {
                    Err(problem) => found.problems.push(format!("{}: {problem}", family.name)),
                    Ok((series, sender, window, point)) => {
                        found.points += 1;
                        found.exemplars += point.exemplars();
                        if !seen.insert((series.clone(), sender, window)) {
                            found.problems.push(format!("{series}: two points in the window {window:?}"));
                        }
                        add(windows.entry(window).or_default(), series, point);
                    }
                }
            }
        }
    }
    found.shapes(windows.keys().copied().collect());
    let mut totals = Sums::new();
    for sums in windows.values() {
        for (series, point) in sums {
            add(&mut totals, series.clone(), point.clone());
        }
    }
    let perhaps = truth.uncertain().map(|truth| truth.expected(families)).unwrap_or_default();
    found.compare("all windows", totals, &truth.expected(families), &perhaps);
    if scope == WindowScope::EachWindow {
        found.gauges(&windows, truth, families);
        // A restart in the middle of a window splits it in two, which belong together.
        let mut whole: BTreeMap<u64, Sums> = BTreeMap::new();
        for ((start, _), sums) in windows {
            let window = whole.entry(start - start % WINDOW_NANO).or_default();
            sums.into_iter().for_each(|(series, point)| add(window, series, point));
        }
        let mut expected: BTreeMap<u64, &Truth> = truth.windows().collect();
        for (start, mut sums) in whole {
            sums.retain(|_, point| !matches!(point, Point::Gauge(_)));
            match expected.remove(&start) {
                Some(truth) => {
                    let values = without_gauges(truth.expected(families));
                    found.quantiles(&sums, &values);
                    found.compare(&format!("window {start}"), sums, &values, &BTreeMap::new());
                }
                None if sums.is_empty() => {}
                None => found.problems.push(format!("nothing ended in the window that begins at {start}")),
            }
        }
        found.problems.extend(expected.keys().map(|start| format!("the window that begins at {start} is missing")));
    }
    found
}

/// The metrics of one resource that are to be compared.
fn known<'a>(
    resource: &'a ResourceMetrics,
    namespace: &'a str,
    families: &'a [MetricFamily],
) -> impl Iterator<Item = (&'static MetricFamily, &'a Data)> {
    let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    metrics.filter_map(move |metric| {
        let name = metric.name.strip_prefix(namespace)?.strip_prefix('.')?;
        let wanted = families.iter().any(|family| family.name == name);
        Some((series::named(name).filter(|_| wanted)?, metric.data.as_ref()?))
    })
}

fn add(sums: &mut Sums, series: Series, point: Point) {
    match sums.get_mut(&series) {
        Some(sum) => sum.merge(&point),
        None => {
            sums.insert(series, point);
        }
    }
}

fn without_gauges(mut values: BTreeMap<Series, Expected>) -> BTreeMap<Series, Expected> {
    values.retain(|_, value| !matches!(value, Expected::Gauge(_)));
    values
}

impl WindowReport {
    /// Windows begin and end at multiples of ten seconds except where a process began or ended, and never overlap.
    fn shapes(&mut self, windows: Vec<(u64, u64)>) {
        for (start, end) in &windows {
            if start >= end || end - start > WINDOW_NANO || (end - 1) / WINDOW_NANO != start / WINDOW_NANO {
                self.problems.push(format!("{start} to {end} is not a window"));
            }
            self.ragged += u64::from(start % WINDOW_NANO != 0 || end % WINDOW_NANO != 0);
        }
        for pair in windows.windows(2) {
            let [(_, end), (start, _)] = pair else { continue };
            if start < end {
                self.problems.push(format!("a window begins at {start}, before the one before it ends at {end}"));
            }
            self.gaps += u64::from(start > end);
        }
        self.windows = windows;
    }

    fn compare(
        &mut self,
        place: &str,
        mut found: Sums,
        sure: &BTreeMap<Series, Expected>,
        perhaps: &BTreeMap<Series, Expected>,
    ) {
        let names: BTreeSet<&Series> = sure.keys().chain(perhaps.keys()).collect();
        for series in names {
            let point = found.remove(series);
            let (sure, perhaps) = (sure.get(series), perhaps.get(series));
            let problem = match (point, perhaps) {
                (None, _) => sure.map(|_| "is missing".to_owned()),
                (Some(point), None) => sure.and_then(|value| point.differs(value)),
                (Some(point), Some(perhaps)) => point.outside(sure, perhaps),
            };
            self.problems.extend(problem.map(|problem| format!("{place}: {series}: {problem}")));
        }
        let surplus = found.into_iter().filter(|(_, point)| !point.is_zero());
        self.problems.extend(surplus.map(|(series, _)| format!("{place}: {series}: is not expected")));
    }

    /// Every window with a regular end shows each gauge that was recorded by then, with its value by then, and no other.
    fn gauges(&mut self, windows: &BTreeMap<(u64, u64), Sums>, truth: &Truth, families: &[MetricFamily]) {
        let mut ended = truth.windows().peekable();
        let mut state: BTreeMap<Series, Expected> = BTreeMap::new();
        for ((start, end), sums) in windows {
            while let Some((_, window)) = ended.next_if(|(start, _)| start + WINDOW_NANO <= *end) {
                let values = window.expected(families).into_iter();
                state.extend(values.filter(|(_, value)| matches!(value, Expected::Gauge(_))));
            }
            if end % WINDOW_NANO == 0 {
                let gauges = sums.iter().filter(|(_, point)| matches!(point, Point::Gauge(_)));
                let gauges = gauges.map(|(series, point)| (series.clone(), point.clone())).collect();
                self.compare(&format!("window {start}"), gauges, &state, &BTreeMap::new());
            }
        }
    }

    /// Compares quantiles, as a reader of the export computes them, with those of the values themselves.
    fn quantiles(&mut self, found: &Sums, expected: &BTreeMap<Series, Expected>) {
        for (series, value) in expected {
            let (Expected::Durations(durations), Some(point)) = (value, found.get(series)) else { continue };
            let mut values = durations.exact.clone();
            values.sort_unstable();
            for q in [0.5, 0.9, 0.99] {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1);
                let (Some(value), Some(read)) = (values.get(rank - 1), point.quantile(q)) else { continue };
                // Below a microsecond is the zero bucket, above an hour the last one.
                if (1_000..=3_600_000_000_000).contains(value)
                    && (read / *value as f64 - 1.0).abs() > QUANTILE_ERROR + 1e-9
                {
                    self.problems.push(format!("{series}: quantile {q} is {read} ns, should be {value}"));
                }
            }
        }
    }
}
