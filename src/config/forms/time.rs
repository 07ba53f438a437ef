//! Durations and sizes within a range.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::form::{Form, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;
use crate::config::units::{self, format_duration, format_size};

/// The range of a duration where zero would mean nothing: 1 ms to 1 h.
pub(in crate::config) const MOMENT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// A duration such as `1m30s` in this range.
pub(in crate::config) struct Time(pub(in crate::config) RangeInclusive<Duration>);

impl Form for Time {
    type Value = Duration;

    fn read(&self, field: &Field<'_>) -> Option<Duration> {
        let scalar = field.scalar("a duration")?;
        match units::parse_duration(&scalar.text) {
            Ok(duration) if self.0.contains(&duration) => Some(duration),
            Ok(_) => {
                let [low, high] = [self.0.start(), self.0.end()].map(|bound| format_duration(*bound));
                field.wrong(&scalar, format!("must be {low} to {high}"))
            }
            Err(why) => field.wrong(&scalar, why),
        }
    }

    fn write(&self, value: &Duration) -> Yaml {
        Yaml::plain(format_duration(*value))
    }

    fn shape(&self) -> Shape {
        Shape::Time { low: *self.0.start(), high: *self.0.end() }
    }
}

/// A duration up to this one; `0s` means never and becomes `None`.
pub(in crate::config) struct TimeOrNever(pub(in crate::config) Duration);

impl TimeOrNever {
    fn time(&self) -> Time {
        Time(Duration::ZERO..=self.0)
    }
}

impl Form for TimeOrNever {
    type Value = Option<Duration>;

    fn read(&self, field: &Field<'_>) -> Option<Option<Duration>> {
        self.time().read(field).map(|time| Some(time).filter(|time| !time.is_zero()))
    }

    fn write(&self, value: &Option<Duration>) -> Yaml {
        self.time().write(&value.unwrap_or_default())
    }

    fn shape(&self) -> Shape {
        self.time().shape()
    }
}

/// A size such as `1MiB` in this range of bytes.
pub(in crate::config) struct Size(pub(in crate::config) RangeInclusive<u64>);

impl Form for Size {
    type Value = usize;

    fn read(&self, field: &Field<'_>) -> Option<usize> {
        let scalar = field.scalar("a size")?;
        match units::parse_size(&scalar.text) {
            Ok(bytes) if self.0.contains(&bytes) => usize::try_from(bytes).ok(),
            Ok(_) => {
                let [low, high] = [self.0.start(), self.0.end()].map(|bound| format_size(*bound));
                field.wrong(&scalar, format!("must be {low} to {high}"))
            }
            Err(why) => field.wrong(&scalar, why),
        }
    }

    fn write(&self, value: &usize) -> Yaml {
        Yaml::plain(format_size(*value as u64))
    }

    fn shape(&self) -> Shape {
        Shape::Size { low: *self.0.start(), high: *self.0.end() }
    }
}
