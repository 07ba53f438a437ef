//! Programs of other people before and behind chainspan; `README.md` here says which and how to install them.

mod collector;
mod datadog;
mod jaeger;
mod jaeger_monitor;
mod metrics;
mod prometheus;
mod rust_sdk;
