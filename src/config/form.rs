//! What a key is: a name, a sentence, a default, and a form: how its value is read, written and described.
//!
//! A struct that is declared with [`section!`](super::section) is a section of the file, and each of its fields is a
//! key. That declaration is the only place that knows the key: reading, the default, the range, `check --print`,
//! `check --schema` and `docs/configuration.md` all follow from it.

use std::time::Duration;

use super::output::Yaml;
use super::reader::{Field, Section};
use super::units::{format_duration, format_size};

/// A kind of value: how it is read from a file and written back, and what it may be.
pub(super) trait Form {
    /// What the rest of the program gets.
    type Value;

    /// The value of `field`. `None`: it is wrong, and what is wrong has been reported.
    fn read(&self, field: &Field<'_>) -> Option<Self::Value>;

    /// The value as it would stand in a file; secrets are masked.
    fn write(&self, value: &Self::Value) -> Yaml;

    /// What may stand there.
    fn shape(&self) -> Shape;
}

/// A section of the file, as [`section!`](super::section) declares it.
pub(super) trait Keys: Default {
    /// What the section is for.
    const ABOUT: &'static str;

    /// Reads the section and reports what is wrong in it; what is left out or wrong has its default.
    fn read(section: Section<'_>) -> Self;

    /// The section as it would stand in a file, with every key.
    fn write(&self) -> Yaml;

    /// Every key of the section, in the order of the declaration.
    fn keys() -> Vec<Key>;
}

/// What is known about one key.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The doc comment of its field: the effect first, then units and edge cases.
    pub(super) about: &'static str,
    pub(super) default: Yaml,
    pub(super) shape: Shape,
}

/// What a value may be: the source of the words in the reference and of the JSON schema.
pub(super) enum Shape {
    /// `true` or `false`.
    Truth,
    /// A whole number, of `unit` where that is not empty.
    Whole { low: u64, high: u64, unit: &'static str },
    /// A number from 0 to 1.
    Ratio,
    /// A duration such as `1m30s`.
    Time { low: Duration, high: Duration },
    /// A size such as `1MiB`.
    Size { low: u64, high: u64 },
    /// One of these names.
    OneOf(Vec<&'static str>),
    /// A text; what it says.
    Text(&'static str),
    /// A list of texts; what they are and how many there may be.
    List { what: &'static str, low: usize, high: usize },
    /// A mapping with these keys.
    Section(Vec<Key>),
    /// A mapping that holds the same under each name: what the names are called, which there may be, what each holds.
    Named { placeholder: &'static str, names: Naming, each: Box<Shape> },
}

/// The names that a mapping may have.
pub(super) enum Naming {
    /// These.
    Known(Vec<&'static str>),
    /// The user's own, which match this regular expression.
    Pattern(&'static str),
}

impl Shape {
    /// What may stand there, in a few words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Truth => "true or false".to_owned(),
            Self::Whole { low, high, unit: "" } => format!("whole number, {low} to {high}"),
            Self::Whole { low, high, unit } => format!("whole number of {unit}, {low} to {high}"),
            Self::Ratio => "number, 0 to 1".to_owned(),
            Self::Time { low, high } => format!("duration, {} to {}", format_duration(*low), format_duration(*high)),
            Self::Size { low, high } => format!("size, {} to {}", format_size(*low), format_size(*high)),
            Self::OneOf(names) => names.join(", "),
            Self::Text(what) => (*what).to_owned(),
            Self::List { what, low, high } => format!("list of {what}, {low} to {high}"),
            Self::Section(_) => "section".to_owned(),
            Self::Named { placeholder, each, .. } => format!("for each {placeholder}: {}", each.words()),
        }
    }
}

/// A doc comment on one line, for a table or a description.
pub(super) fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Declares a section of the file: a struct whose fields are keys.
///
/// ```text
/// section! {
///     /// When a chain counts as degraded or down.
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub struct Health {
///         /// A chain is degraded when more than this share of its operations fails.
///         pub error_ratio: f64 = "error_ratio", Ratio, 0.05;
///     }
///     refuse { "threshold" => "it is called error_ratio here; rename it"; }
///     check fits;
/// }
/// ```
///
/// A field is `name: type = key, form, default`. Without a default it is that of the type, which is what a section in
/// a section wants; without all three it is no key, and whoever reads the section fills it in. The doc comment of a
/// field is its entry in the reference: the effect, the unit, then the edge cases. `refuse` names keys that users of
/// the Collector may expect, and says what to do instead. `check` is called with the values and the section, and
/// reports what is wrong with several keys together.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        #[derive($($derive:ident),+)]
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field_vis:vis $field:ident: $type:ty $(= $key:literal, $form:expr $(, $default:expr)?)?;
            )+
        }
        $(refuse { $($($wrong:literal),+ => $why:expr;)+ })?
        $(check $check:path;)?
    ) => {
        $(#[doc = $about])+
        #[derive($($derive),+)]
        $vis struct $name {
            $($(#[doc = $doc])+ $field_vis $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::config::form::section!(@default $($form $(, $default)?)?),)+ }
            }
        }

        impl $crate::config::form::Keys for $name {
            const ABOUT: &'static str = concat!($($about, "\n"),+);

            fn read(section: $crate::config::reader::Section<'_>) -> Self {
                $($($(section.refuse($wrong, $why);)+)+)?
                let default = Self::default();
                let read = Self {
                    $($field: $crate::config::form::section!(@read section, default.$field $(, $key, $form)?),)+
                };
                $($check(&read, &section);)?
                section.finish();
                read
            }

            fn write(&self) -> $crate::config::output::Yaml {
                $crate::config::output::Yaml::map([
                    $($(($key, $crate::config::form::Form::write(&$form, &self.$field)),)?)+
                ])
            }

            fn keys() -> Vec<$crate::config::form::Key> {
                let (default, mut keys) = (Self::default(), Vec::new());
                $($crate::config::form::section!(
                    @key keys, default.$field, concat!($($doc, "\n"),+) $(, $key, $form)?
                );)+
                keys
            }
        }
    };
    (@default) => { Default::default() };
    (@default $form:expr) => { Default::default() };
    (@default $form:expr, $default:expr) => { $default };
    (@read $section:ident, $default:expr) => { $default };
    (@read $section:ident, $default:expr, $key:literal, $form:expr) => {
        $section.or($key, $default, |field| $crate::config::form::Form::read(&$form, field))
    };
    (@key $keys:ident, $default:expr, $about:expr) => {};
    (@key $keys:ident, $default:expr, $about:expr, $key:literal, $form:expr) => {{
        let form = $form;
        let default = $crate::config::form::Form::write(&form, &$default);
        let shape = $crate::config::form::Form::shape(&form);
        $keys.push($crate::config::form::Key { name: $key, about: $about, default, shape });
    }};
}
pub(super) use section;
