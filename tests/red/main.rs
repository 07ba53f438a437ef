//! Counting, windows and what is exposed of them.

mod bounds;
mod calls;
mod counts;
mod export_openmetrics;
mod export_otlp;
mod exposition;
mod gauges;
mod metrics_docs;
mod pipeline;
mod support;
mod windows;
