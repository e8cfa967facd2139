//! What a list of products shows: which words, which category, in which order, and where it goes on.

use chassis::page::ListDigest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

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

impl Sort {
    /// Whether it goes from the last to the first.
    pub fn descends(self) -> bool {
        matches!(self, Self::Newest | Self::PriceDescending | Self::NameDescending)
    }
}

/// Where a product stands in a list: what that is ordered by, and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// By what the list is ordered.
    pub key: SortKey,
    /// Breaks ties.
    pub id: Uuid,
}

/// What a product is ordered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortKey {
    /// When it was added, in microseconds since 1970.
    Created(i64),
    /// Its price in minor units.
    Price(i64),
    /// Its name without case, as the database has it.
    Name(String),
}

impl SortKey {
    /// Of a time.
    pub fn created(at: OffsetDateTime) -> Self {
        Self::Created(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
    }

    /// The time of a [`Self::Created`] that can be; none of the others.
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Created(micros) if *micros >= 0 => {
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(*micros) * 1_000).ok()
            }
            _ => None,
        }
    }

    /// Whether a list in that order can have it. A cursor comes from whoever asks.
    pub fn is_of(&self, sort: Sort) -> bool {
        match (sort, self) {
            (Sort::Newest | Sort::Oldest, Self::Created(_)) => self.created_at().is_some(),
            (Sort::PriceAscending | Sort::PriceDescending, Self::Price(_)) => true,
            (Sort::NameAscending | Sort::NameDescending, Self::Name(name)) => !name.contains('\0'),
            _ => false,
        }
    }
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

impl Search {
    /// What the cursors of the list belong to.
    pub fn digest(&self) -> ListDigest {
        let words = self.words.as_ref().map_or("", Words::as_str);
        // No words, and words that are none, are not the same.
        let has_words = if self.words.is_some() { "words" } else { "" };
        let sort = format!("{:?}", self.sort);
        ListDigest::of("products", &[has_words, words, &self.category, &sort])
    }
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_position_is_one_of_the_lists_order_and_of_what_can_be() {
        let now = OffsetDateTime::now_utc();
        let now = now.replace_nanosecond(now.microsecond() * 1_000).unwrap();
        assert_eq!(SortKey::created(now).created_at(), Some(now));
        assert!(SortKey::created(now).is_of(Sort::Oldest));
        for (key, sort) in [
            (SortKey::created(now), Sort::NameAscending),
            (SortKey::Created(-1), Sort::Newest),
            (SortKey::Created(i64::MAX), Sort::Newest),
            (SortKey::Price(1), Sort::Newest),
            (SortKey::Name(String::new()), Sort::PriceDescending),
            (SortKey::Name("a\0".to_owned()), Sort::NameAscending),
        ] {
            assert!(!key.is_of(sort), "{key:?}");
        }
    }

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
