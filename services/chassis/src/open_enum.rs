//! Open enums, as protobuf calls them: a value that this version has no name for is kept as it came. Two neighbouring
//! versions work on one database, so a row may say what only the newer one knows; the older one shows it as it is
//! spelled and decides nothing by it. A call may carry one as well, by its name or by its number alone, in which case its
//! spelling is the number in decimal.

/// The longest spelling of a later version's value, in bytes.
pub const MAX_SPELLING: usize = 64;

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

    /// Reads a value of a contract: by the name that came with it, or else by its number, of which `known` is what this
    /// version makes. None where neither says anything (numbers begin with 1), or where the name is no spelling: 1 to [`MAX_SPELLING`] of `a-z`,
    /// `0-9` and `_`.
    pub fn from_contract(name: &str, number: i32, known: Option<T>) -> Option<Self> {
        let is_spelled = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        match (name, known) {
            ("", Some(known)) => Some(Self::Known(known)),
            ("", None) if number <= 0 => None,
            ("", None) => Some(Self::Newer(number.to_string().into())),
            _ => (name.len() <= MAX_SPELLING && name.bytes().all(is_spelled)).then(|| Self::parse(name)),
        }
    }

    /// The name and the number for a contract; `number` numbers what this version knows. What came by its name has no
    /// number (0), and what came by its number alone has no name.
    pub fn to_contract(&self, number: impl FnOnce(T) -> i32) -> (String, i32) {
        match self {
            Self::Known(value) => (value.as_str().to_owned(), number(*value)),
            Self::Newer(text) => match text.parse() {
                Ok(number) => (String::new(), number),
                Err(_) => (text.to_string(), 0),
            },
        }
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

    #[test]
    fn a_contracts_value_is_passed_on_as_it_came() {
        for (name, number, known) in [("yes", 1, Some(Yes)), ("perhaps", 0, None), ("", 77, None)] {
            let value = Open::from_contract(name, number, known).expect("it says something");
            assert_eq!(
                Open::<Yes>::parse(value.as_str()),
                value,
                "the spelling says it all"
            );
            assert_eq!(value.to_contract(|Yes| 1), (name.to_owned(), number));
        }
        let by_number = Open::from_contract("", 1, Some(Yes));
        assert_eq!(by_number, Some(Open::Known(Yes)));
        let named_anew = Open::from_contract("perhaps", 1, Some(Yes));
        assert_eq!(named_anew, Some(Open::Newer("perhaps".into())));
        for name in ["", "Yes", "y s", "\0", &"y".repeat(MAX_SPELLING + 1)] {
            assert_eq!(Open::<Yes>::from_contract(name, 0, None), None, "{name:?}");
        }
    }
}
