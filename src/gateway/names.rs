//! Which operation a span's name means, where it has no `avs.operation`.

use super::Operation;

/// Span names and their operations: compared whole, ASCII case ignored, without allocating. The names of most spans
/// belong to no operation; for most of those the length alone is the answer.
#[derive(Clone, Debug)]
pub struct Names {
    /// Index: length of the name in bytes.
    by_length: Vec<Vec<(Box<[u8]>, Operation)>>,
}

impl Names {
    /// The default names, extended by `extra`. A name that has an operation by default and is given another one here
    /// moves there.
    pub fn new<N: AsRef<str>>(extra: impl IntoIterator<Item = (Operation, N)>) -> Self {
        let mut names = Self::only(
            Operation::ALL
                .into_iter()
                .flat_map(|operation| operation.span_names().iter().map(move |&name| (operation, name))),
        );
        for (operation, name) in extra {
            names.insert(name.as_ref(), operation);
        }
        names
    }

    /// Nothing but `names`. Of the same name given twice the last counts.
    fn only<N: AsRef<str>>(names: impl IntoIterator<Item = (Operation, N)>) -> Self {
        let mut table = Self { by_length: Vec::new() };
        for (operation, name) in names {
            table.insert(name.as_ref(), operation);
        }
        table
    }

    fn insert(&mut self, name: &str, operation: Operation) {
        let name = name.as_bytes();
        if name.is_empty() {
            return;
        }
        if self.by_length.len() <= name.len() {
            self.by_length.resize_with(name.len() + 1, Vec::new);
        }
        let bucket = &mut self.by_length[name.len()];
        match bucket.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(known) => known.1 = operation,
            None => bucket.push((name.into(), operation)),
        }
    }

    /// The operation that the span name `name` means.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<Operation> {
        let bucket = self.by_length.get(name.len())?;
        bucket.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, operation)| operation)
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new([] as [(Operation, &str); 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each default name is found in any case, and only whole.
    #[test]
    fn default_names_are_found_whole_and_in_any_case() {
        let names = Names::default();
        for operation in Operation::ALL {
            for name in operation.span_names() {
                assert_eq!(names.get(name.as_bytes()), Some(operation), "{name}");
                assert_eq!(names.get(name.to_ascii_uppercase().as_bytes()), Some(operation), "{name}");
                assert_eq!(names.get(format!("{name} ").as_bytes()), None, "{name}");
                assert_eq!(names.get(&name.as_bytes()[1..]), None, "{name}");
            }
        }
        for other in ["", "handle_new_signature", "verify_signature", "build_aggregated_response", "GET /"] {
            assert_eq!(names.get(other.as_bytes()), None, "{other}");
        }
    }

    /// Configured names are added; a default name can be given to another operation; the defaults can be left out.
    #[test]
    fn configuration_extends_and_replaces() {
        let names = Names::new([(Operation::TaskBroadcast, "fan out task"), (Operation::Task, "Submit_TX")]);
        assert_eq!(names.get(b"FAN OUT TASK"), Some(Operation::TaskBroadcast));
        assert_eq!(names.get(b"submit_tx"), Some(Operation::Task));
        assert_eq!(names.get(b"process task"), Some(Operation::Task));

        let names = Names::only([(Operation::TaskBroadcast, "fan out task")]);
        assert_eq!(names.get(b"fan out task"), Some(Operation::TaskBroadcast));
        assert_eq!(names.get(b"process task"), None);
    }
}
