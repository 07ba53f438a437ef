//! Values that are one of a few names.

use crate::config::error::suggest;
use crate::config::form::{Form, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;
use crate::config::scalar;

/// `true` or `false`.
pub(in crate::config) struct Truth;

impl Form for Truth {
    type Value = bool;

    fn read(&self, field: &Field<'_>) -> Option<bool> {
        let scalar = field.scalar("true or false")?;
        let truth = scalar.number.then(|| scalar::truth(&scalar.text)).flatten();
        truth.or_else(|| field.wrong(&scalar, "expected true or false"))
    }

    fn write(&self, value: &bool) -> Yaml {
        Yaml::plain(value)
    }

    fn shape(&self) -> Shape {
        Shape::Truth
    }
}

/// One of the names in this table.
pub(in crate::config) struct OneOf<T: 'static>(pub(in crate::config) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Form for OneOf<T> {
    type Value = T;

    fn read(&self, field: &Field<'_>) -> Option<T> {
        let scalar = field.scalar("a name")?;
        match self.0.iter().find(|(name, _)| *name == scalar.text) {
            Some((_, value)) => Some(*value),
            None => {
                let hint = suggest(&scalar.text, self.0.iter().map(|(name, _)| *name), "the values are");
                field.wrong(&scalar, format!("unknown value; {hint}"))
            }
        }
    }

    fn write(&self, value: &T) -> Yaml {
        let name = self.0.iter().find(|(_, known)| known == value).map(|(name, _)| *name);
        name.map_or(Yaml::Absent, Yaml::plain)
    }

    fn shape(&self) -> Shape {
        Shape::OneOf(self.0.iter().map(|(name, _)| *name).collect())
    }
}
