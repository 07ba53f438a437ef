//! The one table per family of reasons, from which the enum, its labels, the text matching and the docs follow.

/// Declares a closed set of reasons: the enum, its table of rows, and everything that follows from it.
macro_rules! family {
    (
        $(#[$meta:meta])*
        $name:ident, class $class:ty, restart $restart:expr;
        $( $(#[$row_meta:meta])* $variant:ident = $label:literal, $row_class:expr, [$($text:expr),* $(,)?]; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[$row_meta])* $variant, )* }

        impl $name {
            /// All of them, in the order of the table; the position is [`Self::index`].
            pub const ALL: &'static [Self] = &[$( Self::$variant, )*];

            const LABELS: &'static [&'static str] = &[$( $label, )*];
            const CLASSES: &'static [$class] = &[$( $row_class, )*];
            const TEXTS: &'static [&'static [crate::gateway::Text]] = &[$( &[$($text),*], )*];

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The value of the typed attribute, and the metric label.
            pub const fn label(self) -> &'static str {
                Self::LABELS[self.index()]
            }

            /// What it counts as.
            pub const fn class(self) -> $class {
                Self::CLASSES[self.index()]
            }

            /// The texts of errors that mean it.
            pub const fn texts(self) -> &'static [crate::gateway::Text] {
                Self::TEXTS[self.index()]
            }

            /// The reason with that label, written in any case.
            pub fn from_label(label: &[u8]) -> Option<Self> {
                let at = Self::LABELS.iter().position(|known| crate::gateway::label::same_label(known, label))?;
                Some(Self::ALL[at])
            }

            /// The reason that the error text `text` means: the longest text of the table that it contains, among those
            /// of the reasons that `accept` takes.
            pub fn from_text(text: &[u8], accept: impl Fn(Self) -> bool) -> Option<Self> {
                static MATCHER: std::sync::LazyLock<crate::gateway::text::Matcher> = std::sync::LazyLock::new(|| {
                    crate::gateway::text::Matcher::new($name::TEXTS.iter().copied(), $restart)
                });
                MATCHER.find(text, |row| accept(Self::ALL[row])).map(|row| Self::ALL[row])
            }

            /// The reason that a JSON-RPC error code means.
            pub fn from_code(code: i64) -> Option<Self> {
                let is_code = |text: &crate::gateway::Text| {
                    matches!(text, crate::gateway::Text::Code(known) if i64::from(*known) == code)
                };
                Self::ALL.iter().copied().find(|reason| reason.texts().iter().any(is_code))
            }
        }
    };
}

pub(super) use family;
