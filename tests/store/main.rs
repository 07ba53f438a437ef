//! The store alone.

mod flips;
mod keeps;
mod kill;
mod letters;
mod limits;
mod model;
mod open;
mod support;
