//! Open enums, as protobuf calls them: a value that this version has no name for is kept as it came. Two neighbouring
//! versions work on one database, so a row may say what only the newer one knows; the older one shows it as it is
//! spelled and decides nothing by it.

/// A closed set of values with a spelling each: those that this version knows.
pub trait Spelled: Copy + 'static {
    /// The value of that spelling.
    fn parse(text: &str) -> Option<Self>;

    /// As the database and the HTTP API spell it.
    fn as_str(self) -> &'static str;
}

/// A value that this version knows, or the spelling of one that a later version wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Open<T> {
    /// One of today's.
    Known(T),
    /// A later version's, as it is spelled.
    Newer(Box<str>),
}

impl<T: Spelled> Open<T> {
    /// Reads a spelling; there is none that can't be read.
    pub fn parse(text: &str) -> Self {
        T::parse(text).map_or_else(|| Self::Newer(text.into()), Self::Known)
    }

    /// The spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => value.as_str(),
            Self::Newer(text) => text,
        }
    }

    /// What to decide by: none where only a later version could.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Newer(_) => None,
        }
    }
}

impl<T> From<T> for Open<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Yes;

    impl Spelled for Yes {
        fn parse(text: &str) -> Option<Self> {
            (text == "yes").then_some(Self)
        }

        fn as_str(self) -> &'static str {
            "yes"
        }
    }

    #[test]
    fn every_spelling_is_read_and_written_as_it_is() {
        for (text, known) in [("yes", Some(Yes)), ("perhaps", None), ("", None)] {
            let value = Open::<Yes>::parse(text);
            assert_eq!((value.as_str(), value.known()), (text, known));
        }
    }
}
