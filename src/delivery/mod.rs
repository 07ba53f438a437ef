//! One destination each: coalescing, sending, retry. What is handed over here is bytes with a span count; nothing in
//! here looks at what a span means.

mod parcel;
mod status;

pub use parcel::{Parcel, Signal, Undelivered};
pub use status::{Conservation, DestinationStatus};
