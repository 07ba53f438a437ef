//! Joins points into requests: one resource per dimension set, each metric once in it, no request larger than allowed.

use std::collections::HashMap;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum,
    metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::point::{Point, string};
use crate::config::Temporality;
use crate::red::{self, Dims, Series, SeriesValue, Snapshot};

/// The scope becomes a tag at the agent, so it never changes, not even with our version.
const SCOPE: (&str, &str) = ("chainspan", "1");
/// Tag and length before a message inside another one, at the most.
const FRAME: usize = 6;

/// How points are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// What the points count.
    pub temporality: Temporality,
    /// `chainspan.instance` of every point; `None`: left out.
    pub instance: Option<String>,
    /// The most bytes of one request, uncompressed. A point that is larger goes alone.
    pub max_request_bytes: usize,
}

/// The time that points cover, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A window: from, to.
    Window(u64, u64),
    /// From each series' own beginning to this moment.
    Until(u64),
}

/// An `ExportMetricsServiceRequest`, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    /// The message.
    pub body: Bytes,
    /// How many points it holds.
    pub points: u64,
}

/// What `snapshot` says of `period`; no request when it holds nothing.
pub fn requests(snapshot: &Snapshot, period: Period, settings: &PushSettings) -> Vec<PushRequest> {
    let mut writer = Writer::new(settings);
    for (dims, families) in by_resource(snapshot) {
        writer.resource = resource(snapshot, dims);
        writer.open_resource = false;
        for (metric, series) in families {
            writer.metric = head(snapshot, metric, &series[0].value, settings.temporality);
            writer.open_metric = false;
            for each in series {
                let times = match period {
                    Period::Window(start, end) => (start, end),
                    Period::Until(now) => (each.start_unix_nano.min(now), now),
                };
                writer.add(Point::of(metric, each, times, settings.instance.as_deref()));
            }
        }
    }
    writer.cut();
    writer.done
}

/// The series of one dimension set; no family is empty.
type Families<'s> = Vec<(red::Metric, Vec<&'s Series>)>;

/// The series by dimension set, and within it by metric, in the order in which they stand in the snapshot.
fn by_resource(snapshot: &Snapshot) -> Vec<(&Dims, Families<'_>)> {
    let mut places = HashMap::<&Dims, usize>::new();
    let mut resources: Vec<(&Dims, Families<'_>)> = Vec::new();
    for family in &snapshot.families {
        for series in &family.series {
            let place = *places.entry(&series.dims).or_insert_with(|| {
                resources.push((&series.dims, Vec::new()));
                resources.len() - 1
            });
            let families = &mut resources[place].1;
            match families.last_mut() {
                Some((metric, known)) if *metric == family.metric => known.push(series),
                _ => families.push((family.metric, vec![series])),
            }
        }
    }
    resources
}

fn resource(snapshot: &Snapshot, dims: &Dims) -> Resource {
    let named = snapshot.dimensions.iter().zip(&dims.0).filter(|(_, value)| !value.is_empty());
    Resource { attributes: named.map(|(name, value)| string(name, value)).collect(), ..Resource::default() }
}

/// The metric without its points.
fn head(snapshot: &Snapshot, metric: red::Metric, value: &SeriesValue, temporality: Temporality) -> Metric {
    let entry = metric.entry();
    let aggregation_temporality = match temporality {
        Temporality::Delta => AggregationTemporality::Delta,
        Temporality::Cumulative => AggregationTemporality::Cumulative,
    } as i32;
    let data = match value {
        SeriesValue::Counter(_) => Data::Sum(Sum { is_monotonic: true, aggregation_temporality, ..Sum::default() }),
        SeriesValue::Gauge(_) => Data::Gauge(Gauge::default()),
        SeriesValue::Fixed(_) => Data::Histogram(Histogram { aggregation_temporality, ..Histogram::default() }),
        SeriesValue::Duration(_) => {
            Data::ExponentialHistogram(ExponentialHistogram { aggregation_temporality, ..Default::default() })
        }
    };
    Metric {
        name: format!("{}.{}", snapshot.namespace, entry.name),
        description: entry.help.to_owned(),
        unit: entry.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// Fills one request after the other. A cut repeats the resource and the metric it falls into.
struct Writer<'s> {
    settings: &'s PushSettings,
    done: Vec<PushRequest>,
    message: ExportMetricsServiceRequest,
    /// Never less than what `message` takes on the wire.
    bytes: usize,
    points: u64,
    resource: Resource,
    metric: Metric,
    /// Whether `message` ends with that resource, and that metric.
    open_resource: bool,
    open_metric: bool,
}

impl<'s> Writer<'s> {
    fn new(settings: &'s PushSettings) -> Self {
        Self {
            settings,
            done: Vec::new(),
            message: ExportMetricsServiceRequest::default(),
            bytes: 0,
            points: 0,
            resource: Resource::default(),
            metric: Metric::default(),
            open_resource: false,
            open_metric: false,
        }
    }

    fn add(&mut self, point: Point) {
        if self.points > 0 && self.bytes + self.cost(&point) > self.settings.max_request_bytes {
            self.cut();
        }
        self.bytes += self.cost(&point);
        self.points += 1;
        if !self.open_resource {
            let scope = InstrumentationScope { name: SCOPE.0.into(), version: SCOPE.1.into(), ..Default::default() };
            self.message.resource_metrics.push(ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics { scope: Some(scope), ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            });
        }
        let resource = self.message.resource_metrics.last_mut().expect("pushed above, or earlier if it is open");
        let metrics = &mut resource.scope_metrics[0].metrics;
        if !self.open_metric {
            metrics.push(self.metric.clone());
        }
        let metric = metrics.last_mut().expect("pushed above, or earlier if it is open");
        (self.open_resource, self.open_metric) = (true, true);
        match (&mut metric.data, point) {
            (Some(Data::Sum(sum)), Point::Number(point)) => sum.data_points.push(point),
            (Some(Data::Gauge(gauge)), Point::Number(point)) => gauge.data_points.push(point),
            (Some(Data::Histogram(histogram)), Point::Fixed(point)) => histogram.data_points.push(point),
            (Some(Data::ExponentialHistogram(histogram)), Point::Exponential(point)) => {
                histogram.data_points.push(point);
            }
            // A series has the value that its metric's instrument has.
            (_, point) => debug_assert!(false, "{point:?} in {}", metric.name),
        }
    }

    /// What `point` adds, on the safe side.
    fn cost(&self, point: &Point) -> usize {
        let metric = if self.open_metric { 0 } else { self.metric.encoded_len() + 2 * FRAME };
        let resource = self.resource.encoded_len() + SCOPE.0.len() + SCOPE.1.len() + 6 * FRAME;
        point.encoded_len() + FRAME + metric + if self.open_resource { 0 } else { resource }
    }

    /// Ends the request at hand, if it holds anything.
    fn cut(&mut self) {
        (self.open_resource, self.open_metric) = (false, false);
        let message = std::mem::take(&mut self.message);
        let (bytes, points) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.points));
        if points > 0 {
            let body = Bytes::from(message.encode_to_vec());
            debug_assert!(body.len() <= bytes, "{} bytes were taken for {bytes}", body.len());
            self.done.push(PushRequest { body, points });
        }
    }
}
