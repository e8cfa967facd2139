//! What a list of products shows: which words, which category and currency, in which order, and where it goes on.

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
    /// By the amount of the price as it is shown, whatever its currency, the lowest first.
    PriceAscending,
    /// By the amount of the price as it is shown, whatever its currency, the highest first.
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
    /// The amount of its price as it is shown: a decimal number, as the database writes it.
    Amount(String),
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
            (Sort::PriceAscending | Sort::PriceDescending, Self::Amount(amount)) => is_amount(amount),
            (Sort::NameAscending | Sort::NameDescending, Self::Name(name)) => !name.contains('\0'),
            _ => false,
        }
    }
}

/// The most digits of an amount: the largest price has nineteen, and four more zeros do no harm.
const MAX_DIGITS: usize = 23;

/// Whether it is a decimal number of a size that prices have.
fn is_amount(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(decimals) && whole.len() + decimals.len() <= MAX_DIGITS
}

/// Which products to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The words that each must have, if any are asked for.
    pub words: Option<Words>,
    /// The category that each must be of; empty for all.
    pub category: String,
    /// The currency that each must be priced in; empty for all.
    pub currency: String,
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
        let mut narrowed = vec![has_words, words, &self.category, &sort];
        // The version before knows no currency, and its cursors go on here.
        if !self.currency.is_empty() {
            narrowed.push(&self.currency);
        }
        ListDigest::of("products", &narrowed)
    }
}

/// Words as they were asked for. How they are split, and what they match, is the schema's to say, which splits the text of
/// products by the same rule: `product_query` in `migrations/0005_terms.sql`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Words(String);

impl Words {
    /// The words of a query; `None` where it is blank. A query of nothing but punctuation has words, none of which
    /// any product has.
    pub fn new(query: &str) -> Option<Self> {
        let words = query.split_whitespace().collect::<Vec<_>>().join(" ");
        (!words.is_empty()).then_some(Self(words))
    }

    /// What was asked for, one space between any two.
    pub fn as_str(&self) -> &str {
        &self.0
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
        for amount in ["0", "10.99", "9223372036854775807", "922337203685477.5807"] {
            assert!(
                SortKey::Amount(amount.to_owned()).is_of(Sort::PriceAscending),
                "{amount}"
            );
        }
        for (key, sort) in [
            (SortKey::created(now), Sort::NameAscending),
            (SortKey::Created(-1), Sort::Newest),
            (SortKey::Created(i64::MAX), Sort::Newest),
            (SortKey::Amount("1".to_owned()), Sort::Newest),
            (SortKey::Amount("-1".to_owned()), Sort::PriceAscending),
            (SortKey::Amount("NaN".to_owned()), Sort::PriceAscending),
            (SortKey::Amount("1e9".to_owned()), Sort::PriceDescending),
            (SortKey::Amount("1.".to_owned()), Sort::PriceDescending),
            (SortKey::Amount("9".repeat(24)), Sort::PriceDescending),
            (SortKey::Name(String::new()), Sort::PriceDescending),
            (SortKey::Name("a\0".to_owned()), Sort::NameAscending),
        ] {
            assert!(!key.is_of(sort), "{key:?}");
        }
    }

    #[test]
    fn a_blank_query_has_no_words_and_one_of_punctuation_has_some() {
        let words = |query: &str| Words::new(query).map(|words| words.as_str().to_owned());
        assert_eq!(words(" \t"), None);
        assert_eq!(words(" Red  shirt"), Some("Red shirt".to_owned()));
        assert_eq!(words("!-'"), Some("!-'".to_owned()));
    }
}
