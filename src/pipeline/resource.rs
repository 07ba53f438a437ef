//! What is measured by of the resource that a span belongs to: its dimensions, and who it is.

use std::cell::RefCell;
use std::sync::Arc;

use super::texts;
use crate::otlp::Value;
use crate::red::{Dims, SERVICE_INSTANCE_ID};

/// The longest dimension value that is kept, in bytes; what is longer is cut.
const DIMENSION_BYTES: usize = 200;

/// Sets of dimension values that a thread remembers: gateways of one host have few.
const MAX_REMEMBERED_DIMS: usize = 32;

thread_local! {
    static DIMS: RefCell<Vec<Arc<Dims>>> = const { RefCell::new(Vec::new()) };
}

/// The attributes of the resource at hand.
pub(super) struct Resource<'a> {
    /// The value of each configured dimension.
    dimensions: Vec<Value<'a>>,
    /// `service.instance.id`.
    instance: Value<'a>,
    /// `service.name`, for calls.
    service: texts::Lazy<'a>,
    /// Index into the stage, once a span of the resource has been measured.
    staged_dims: Option<u32>,
}

impl<'a> Resource<'a> {
    /// An empty one, with values for so many dimensions.
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions: vec![Value::Empty; dimensions],
            instance: Value::Empty,
            service: texts::Lazy::default(),
            staged_dims: None,
        }
    }

    /// The next resource begins.
    pub(super) fn clear(&mut self) {
        self.staged_dims = None;
        self.dimensions.fill(Value::Empty);
        self.instance = Value::Empty;
        self.service = texts::Lazy::default();
    }

    /// Takes an attribute if it is one of those that count. `dimensions`: the keys that are configured.
    pub(super) fn attribute(&mut self, key: &'a [u8], value: Value<'a>, dimensions: &[String]) {
        if let Some(at) = dimensions.iter().position(|dimension| dimension.as_bytes() == key) {
            self.dimensions[at] = value;
        }
        if key == SERVICE_INSTANCE_ID.as_bytes() {
            self.instance = value;
        }
        if key == b"service.name" {
            self.service = texts::Lazy::Of(value);
        }
    }

    /// The index of its dimensions in `staged`, where they are put when they are first needed.
    pub(super) fn stage_dims(&mut self, staged: &mut Vec<Arc<Dims>>) -> u32 {
        match self.staged_dims {
            Some(dims) => dims,
            None => {
                let dims = staged.len() as u32;
                staged.push(intern_dims(&self.dimensions));
                self.staged_dims = Some(dims);
                dims
            }
        }
    }

    /// `service.instance.id`; empty if it is no text.
    pub(super) fn instance(&self) -> Arc<str> {
        match self.instance {
            Value::Str(text) => texts::intern(text),
            _ => texts::intern(b""),
        }
    }

    /// `service.name`; empty if it is no text.
    pub(super) fn service(&mut self) -> Arc<str> {
        self.service.interned()
    }
}

/// The values as labels. Equal values give the same `Arc` on the same thread, so that comparing them later is cheap.
fn intern_dims(values: &[Value<'_>]) -> Arc<Dims> {
    DIMS.with_borrow_mut(|kept| {
        let same = |dims: &Arc<Dims>| {
            dims.0.len() == values.len()
                && dims.0.iter().zip(values).all(|(kept, value)| match value {
                    Value::Empty => kept.is_empty(),
                    Value::Str(text) => kept.as_bytes() == *text,
                    _ => false,
                })
        };
        if let Some(dims) = kept.iter().find(|dims| same(dims)) {
            return dims.clone();
        }
        let dims = Arc::new(Dims(values.iter().map(|value| label(*value)).collect()));
        if kept.len() == MAX_REMEMBERED_DIMS {
            kept.clear();
        }
        kept.push(dims.clone());
        dims
    })
}

/// An attribute value as label text, at most [`DIMENSION_BYTES`] long.
fn label(value: Value<'_>) -> Box<str> {
    match value {
        Value::Str(text) => {
            let cut = &text[..text.len().min(DIMENSION_BYTES)];
            String::from_utf8_lossy(cut).into()
        }
        Value::Int(number) => number.to_string().into(),
        Value::Double(number) => number.to_string().into(),
        Value::Bool(truth) => truth.to_string().into(),
        Value::Empty | Value::Array(_) | Value::KvList(_) | Value::Bytes(_) => "".into(),
    }
}
