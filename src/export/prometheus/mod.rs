//! Prometheus: the text of a scrape, and the endpoint that it is fetched from.

mod calls;
mod format;
mod label;
mod serve;
mod text;

pub use format::Format;
pub use serve::serve;
pub use text::render;
