//! Metric exports laid beside the truth, window by window.
//!
//! From outside it is not always known which window a span joined: that depends on the moment of the commit. So two things
//! are asked. [`Scope::Totals`]: whatever the windows are, they are well formed, exported once, do not overlap, and add up
//! to the truth. [`Scope::EachWindow`], for runs in which nothing was late or from the future: every window holds exactly
//! what ended in it.
//!
//! A gauge is no sum but a state: each window shows what the span says that ended last by the end of it, also where nothing
//! new was seen. Of totals only the last point can be known, which must show what was seen last.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, metric::Data};

use super::exposition::Series;
use super::families::{self, Family};
use super::figures::Figure;
use super::point::{Point, Reader};
use super::timing::WINDOW_NANO;
use super::truth::Truth;

/// Half the width of a bucket of scale 6, relative to the value in its middle.
const QUANTILE_ERROR: f64 = 0.005_416;

/// What can be asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Sums over all windows.
    Totals,
    /// Also each window by itself: nothing may have been late, from the future or ambiguous, and the truth must keep
    /// [windows](Truth::by_window).
    EachWindow,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// Start and end of every window that has a point, oldest first, nanoseconds since the Unix epoch.
    pub windows: Vec<(u64, u64)>,
    /// Places where a window does not begin where the one before ended.
    pub gaps: u64,
    /// Windows that are not a whole one: those of the start and of a shutdown.
    pub ragged: u64,
    /// Data points of the compared families.
    pub points: u64,
    /// Exemplars among them.
    pub exemplars: u64,
    /// Everything that is wrong, in words.
    pub troubles: Vec<String>,
}

type Sums = BTreeMap<Series, Point>;

/// Compares `exports` with `truth` in `families`. `namespace` is the configured one (`avs.gateway`).
pub fn check(
    exports: &[ExportMetricsServiceRequest],
    truth: &Truth,
    namespace: &str,
    families: &[Family],
    scope: Scope,
) -> Windows {
    let mut found = Windows::default();
    let mut seen: BTreeSet<(Series, String, (u64, u64))> = BTreeSet::new();
    let mut windows: BTreeMap<(u64, u64), Sums> = BTreeMap::new();
    for resource in exports.iter().flat_map(|export| &export.resource_metrics) {
        for (family, data) in known(resource, namespace, families) {
            let reader = Reader { family, resource: resource.resource.as_ref() };
            for read in reader.points(data) {
                match read {
                    Err(trouble) => found.troubles.push(format!("{}: {trouble}", family.name)),
                    Ok((series, sender, window, point)) => {
                        found.points += 1;
                        found.exemplars += point.exemplars();
                        if !seen.insert((series.clone(), sender, window)) {
                            found.troubles.push(format!("{series}: two points in the window {window:?}"));
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
    let perhaps = truth.uncertain().map(|truth| truth.figures(families)).unwrap_or_default();
    found.compare("all windows", totals, &truth.figures(families), &perhaps);
    if scope == Scope::EachWindow {
        found.gauges(&windows, truth, families);
        // A restart in the middle of a window makes two of it, which belong together.
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
                    let figures = without_gauges(truth.figures(families));
                    found.quantiles(&sums, &figures);
                    found.compare(&format!("window {start}"), sums, &figures, &BTreeMap::new());
                }
                None if sums.is_empty() => {}
                None => found.troubles.push(format!("nothing ended in the window that begins at {start}")),
            }
        }
        found.troubles.extend(expected.keys().map(|start| format!("the window that begins at {start} is missing")));
    }
    found
}

/// The metrics of one resource that are to be compared.
fn known<'a>(
    resource: &'a ResourceMetrics,
    namespace: &'a str,
    families: &'a [Family],
) -> impl Iterator<Item = (&'static Family, &'a Data)> {
    let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    metrics.filter_map(move |metric| {
        let name = metric.name.strip_prefix(namespace)?.strip_prefix('.')?;
        let wanted = families.iter().any(|family| family.name == name);
        Some((families::named(name).filter(|_| wanted)?, metric.data.as_ref()?))
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

fn without_gauges(mut figures: BTreeMap<Series, Figure>) -> BTreeMap<Series, Figure> {
    figures.retain(|_, figure| !matches!(figure, Figure::Gauge(_)));
    figures
}

impl Windows {
    /// Windows begin and end at multiples of ten seconds except where a process began or ended, and never overlap.
    fn shapes(&mut self, windows: Vec<(u64, u64)>) {
        for (start, end) in &windows {
            if start >= end || end - start > WINDOW_NANO || (end - 1) / WINDOW_NANO != start / WINDOW_NANO {
                self.troubles.push(format!("{start} to {end} is no window"));
            }
            self.ragged += u64::from(start % WINDOW_NANO != 0 || end % WINDOW_NANO != 0);
        }
        for pair in windows.windows(2) {
            let [(_, end), (start, _)] = pair else { continue };
            if start < end {
                self.troubles.push(format!("a window begins at {start}, before the one before it ends at {end}"));
            }
            self.gaps += u64::from(start > end);
        }
        self.windows = windows;
    }

    fn compare(
        &mut self,
        place: &str,
        mut found: Sums,
        sure: &BTreeMap<Series, Figure>,
        perhaps: &BTreeMap<Series, Figure>,
    ) {
        let names: BTreeSet<&Series> = sure.keys().chain(perhaps.keys()).collect();
        for series in names {
            let point = found.remove(series);
            let (sure, perhaps) = (sure.get(series), perhaps.get(series));
            let trouble = match (point, perhaps) {
                (None, _) => sure.map(|_| "is missing".to_owned()),
                (Some(point), None) => sure.and_then(|figure| point.differs(figure)),
                (Some(point), Some(perhaps)) => point.outside(sure, perhaps),
            };
            self.troubles.extend(trouble.map(|trouble| format!("{place}: {series}: {trouble}")));
        }
        let surplus = found.into_iter().filter(|(_, point)| !point.is_zero());
        self.troubles.extend(surplus.map(|(series, _)| format!("{place}: {series}: nobody expects it")));
    }

    /// Every window that ends as a window does shows each gauge that was ever seen, as it was by then, and no other.
    fn gauges(&mut self, windows: &BTreeMap<(u64, u64), Sums>, truth: &Truth, families: &[Family]) {
        let mut ended = truth.windows().peekable();
        let mut state: BTreeMap<Series, Figure> = BTreeMap::new();
        for ((start, end), sums) in windows {
            while let Some((_, window)) = ended.next_if(|(start, _)| start + WINDOW_NANO <= *end) {
                let figures = window.figures(families).into_iter();
                state.extend(figures.filter(|(_, figure)| matches!(figure, Figure::Gauge(_))));
            }
            if end % WINDOW_NANO == 0 {
                let gauges = sums.iter().filter(|(_, point)| matches!(point, Point::Gauge(_)));
                let gauges = gauges.map(|(series, point)| (series.clone(), point.clone())).collect();
                self.compare(&format!("window {start}"), gauges, &state, &BTreeMap::new());
            }
        }
    }

    /// Quantiles as a reader of the export computes them, beside the values themselves.
    fn quantiles(&mut self, found: &Sums, expected: &BTreeMap<Series, Figure>) {
        for (series, figure) in expected {
            let (Figure::Durations(durations), Some(point)) = (figure, found.get(series)) else { continue };
            let mut values = durations.exact.clone();
            values.sort_unstable();
            for q in [0.5, 0.9, 0.99] {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1);
                let (Some(value), Some(read)) = (values.get(rank - 1), point.quantile(q)) else { continue };
                // Below a microsecond is the zero bucket, above an hour the last one.
                if (1_000..=3_600_000_000_000).contains(value)
                    && (read / *value as f64 - 1.0).abs() > QUANTILE_ERROR + 1e-9
                {
                    self.troubles.push(format!("{series}: quantile {q} is {read} ns, should be {value}"));
                }
            }
        }
    }
}
