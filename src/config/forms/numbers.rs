//! Numbers: whole ones within a range, mebibytes, shares.

use std::marker::PhantomData;
use std::ops::RangeInclusive;

use crate::config::form::{Form, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;
use crate::config::scalar;

/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

/// A whole number of `unit`; each counts for `factor` in the value.
pub(in crate::config) struct Whole<T> {
    range: RangeInclusive<u64>,
    unit: &'static str,
    factor: u64,
    value: PhantomData<T>,
}

/// A whole number in `range`.
pub(in crate::config) fn whole<T>(range: RangeInclusive<u64>) -> Whole<T> {
    Whole { range, unit: "", factor: 1, value: PhantomData }
}

/// A number of MiB in `range`; the value is in bytes.
pub(in crate::config) fn mib<T>(range: RangeInclusive<u64>) -> Whole<T> {
    Whole { range, unit: "MiB", factor: MIB, value: PhantomData }
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Form for Whole<T> {
    type Value = T;

    fn read(&self, field: &Field<'_>) -> Option<T> {
        let (low, high) = (self.range.start(), self.range.end());
        let scalar = field.scalar("a whole number")?;
        match scalar.number.then(|| scalar::whole(&scalar.text)).flatten() {
            Some(number) => match u64::try_from(number).ok().filter(|number| self.range.contains(number)) {
                Some(number) => T::try_from(number * self.factor).ok(),
                None => field.wrong(&scalar, format!("must be {low} to {high}")),
            },
            None if !scalar.number && scalar::whole(&scalar.text).is_some() => {
                field.wrong(&scalar, "expected a whole number, found a text; remove the quotes")
            }
            None => field.wrong(&scalar, format!("expected a whole number from {low} to {high}")),
        }
    }

    fn write(&self, value: &T) -> Yaml {
        let value: u64 = (*value).try_into().unwrap_or(u64::MAX);
        Yaml::plain(value / self.factor)
    }

    fn shape(&self) -> Shape {
        Shape::Whole { low: *self.range.start(), high: *self.range.end(), unit: self.unit }
    }
}

/// A share from 0 to 1.
pub(in crate::config) struct Ratio;

impl Form for Ratio {
    type Value = f64;

    fn read(&self, field: &Field<'_>) -> Option<f64> {
        let scalar = field.scalar("a number")?;
        match scalar.text.parse::<f64>() {
            Ok(ratio) if scalar.number && (0.0..=1.0).contains(&ratio) => Some(ratio),
            _ => field.wrong(&scalar, "expected a number from 0 to 1, for example 0.05"),
        }
    }

    fn write(&self, value: &f64) -> Yaml {
        Yaml::plain(value)
    }

    fn shape(&self) -> Shape {
        Shape::Ratio
    }
}
