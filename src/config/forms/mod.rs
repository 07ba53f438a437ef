//! The forms that values come in. Each says how it is read, how it is written and what it may be.

mod choice;
mod lists;
mod nested;
mod numbers;
mod texts;
mod time;

pub(super) use choice::{OneOf, Truth};
pub(super) use lists::{Names, listed, names};
pub(super) use nested::{Optional, nested};
pub(super) use numbers::{Ratio, mib, whole};
pub(super) use texts::{Directory, Parsed, Text};
pub(super) use time::{MOMENT, Size, Time, TimeOrNever};
