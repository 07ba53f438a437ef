//! How often memory is allocated. A program of its own, for its allocator counts.

mod pipeline;
mod walk;
