//! Sections in sections, and values that may be left out altogether.

use std::marker::PhantomData;

use crate::config::form::{Form, Keys, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;

/// A section under its key.
pub(in crate::config) struct Nested<T>(PhantomData<T>);

/// A section under its key.
pub(in crate::config) fn nested<T>() -> Nested<T> {
    Nested(PhantomData)
}

impl<T: Keys> Form for Nested<T> {
    type Value = T;

    fn read(&self, field: &Field<'_>) -> Option<T> {
        Some(T::read(field.section()))
    }

    fn write(&self, value: &T) -> Yaml {
        value.write()
    }

    fn shape(&self) -> Shape {
        Shape::Section(T::keys())
    }
}

/// A value without a default: `None` where the key is left out.
pub(in crate::config) struct Optional<F>(pub(in crate::config) F);

impl<F: Form> Form for Optional<F> {
    type Value = Option<F::Value>;

    fn read(&self, field: &Field<'_>) -> Option<Option<F::Value>> {
        self.0.read(field).map(Some)
    }

    fn write(&self, value: &Option<F::Value>) -> Yaml {
        value.as_ref().map_or(Yaml::Absent, |value| self.0.write(value))
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }
}
