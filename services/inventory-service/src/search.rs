//! What a list of products shows: which words, which category, in which order.

/// The order of a list. The id breaks ties, in the same direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By time of creation, the last first.
    #[default]
    Newest,
    /// By time of creation, the first first.
    Oldest,
    /// By price in minor units, the lowest first.
    PriceAscending,
    /// By price in minor units, the highest first.
    PriceDescending,
    /// By name without case, from A.
    NameAscending,
    /// By name without case, to A.
    NameDescending,
}

/// Which products to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The words that each must have, if any are asked for.
    pub words: Option<Words>,
    /// The category that each must be of; empty for all.
    pub category: String,
    /// In which order.
    pub sort: Sort,
}

/// Words as the search index has them: in lower case by the database, with everything between them dropped here as
/// the schema drops it, so that `ABC-123` is two words in a product and in a query alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Words(String);

/// Shorter beginnings of words are those of too many to be worth finding.
const MIN_PREFIX: usize = 3;

impl Words {
    /// The words of a query; `None` where it is blank. A query of nothing but punctuation has words, none of which
    /// any product has.
    pub fn new(query: &str) -> Option<Self> {
        if query.trim().is_empty() {
            return None;
        }
        let spaced: String = query
            .chars()
            .map(|c| if c.is_ascii_punctuation() { ' ' } else { c })
            .collect();
        Some(Self(spaced.split_whitespace().collect::<Vec<_>>().join(" ")))
    }

    /// The words, one space between them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether products match too in which the last word is only the beginning of one: somebody is still typing it, or
    /// means the plural. Not for numbers: a few digits begin a whole shop's serial numbers.
    pub fn last_is_prefix(&self) -> bool {
        let last = self.0.rsplit(' ').next().unwrap_or_default();
        last.chars().count() >= MIN_PREFIX && last.chars().all(char::is_alphabetic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_punctuation() {
        let words =
            |query: &str| Words::new(query).map(|words| (words.as_str().to_owned(), words.last_is_prefix()));
        assert_eq!(words(" \t"), None);
        assert_eq!(words("Red  shirt"), Some(("Red shirt".to_owned(), true)));
        assert_eq!(words("ABC-1234"), Some(("ABC 1234".to_owned(), false)));
        assert_eq!(words("ABC1234"), Some(("ABC1234".to_owned(), false)));
        assert_eq!(words("to"), Some(("to".to_owned(), false)));
        assert_eq!(words("!-'"), Some((String::new(), false)));
        assert_eq!(
            words("'t-shirt' & grün:*"),
            Some(("t shirt grün".to_owned(), true))
        );
    }
}
