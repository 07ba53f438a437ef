//! Read by the test of the reader, never compiled.
pub mod high;
pub mod low;
