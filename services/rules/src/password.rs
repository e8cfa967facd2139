//! Which passwords may be chosen: NIST SP 800-63B, section 3.1.1. Enough characters, and nothing that is among the first
//! guesses, which zxcvbn estimates; no rules of composition. Text is brought to Unicode's form NFKC first, so that a
//! password typed on another keyboard is the same.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization as _;
use zxcvbn::{Score, feedback::Warning, zxcvbn};

/// How many characters a password has.
pub const LENGTHS: RangeInclusive<usize> = 8..=128;
/// The longest text that may be one once it is in NFKC, in characters as it is typed: a syllable of Hangul is typed as
/// three. A longer one is nobody's password.
pub const LONGEST_TYPED: usize = 4 * *LENGTHS.end();

/// A million guesses, which is what somebody who tries passwords online has in weeks.
const WEAKEST: Score = Score::Two;

/// So many characters are judged, which costs by their square: what begins hard to guess is hard to guess.
const JUDGED: usize = 64;

/// What is expected of a password's length.
pub fn expected() -> String {
    format!(
        "must have from {} to {} characters",
        LENGTHS.start(),
        LENGTHS.end()
    )
}

/// A password as it is compared and hashed.
pub fn normalized(typed: &str) -> String {
    typed.nfkc().collect()
}

/// A new password for an account with that email and that name. Whoever doesn't know these gives none, and refuses less.
///
/// # Errors
/// What is expected of it.
pub fn chosen(typed: &str, email: &str, name: &str) -> Result<(), String> {
    // Nobody counts the characters of a text that can't have so few.
    if typed.len() > 4 * LONGEST_TYPED {
        return Err(expected());
    }
    let text = &*normalized(typed);
    if !LENGTHS.contains(&text.chars().count()) {
        return Err(expected());
    }
    let mut own = vec![email, name];
    own.extend(email.split(['@', '.', '+', '-', '_']));
    own.extend(name.split_whitespace());
    own.retain(|word| word.chars().count() >= 3);
    // Whoever knows the account tries these first.
    let lower = text.to_lowercase();
    if own.iter().any(|word| lower == word.to_lowercase()) {
        return Err("must not be the account's own email or name".to_owned());
    }
    let judged = text
        .char_indices()
        .nth(JUDGED)
        .map_or(text, |(end, _)| &text[..end]);
    let estimate = zxcvbn(judged, &own);
    if estimate.score() >= WEAKEST {
        return Ok(());
    }
    let warning = estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning);
    Err(match warning {
        Some(
            Warning::ThisIsATop10Password | Warning::ThisIsATop100Password | Warning::ThisIsACommonPassword,
        ) => "must not be one of the most used passwords".to_owned(),
        Some(warning) => format!("must be harder to guess: {warning}"),
        None => "must be harder to guess: longer, or less like the account's own email and name".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_guesses_are_refused_with_the_reason() {
        let (email, name) = ("ada.lovelace@example.com", "Ada Lovelace");
        for (text, said) in [
            ("short", "from 8 to 128"),
            (&*"x".repeat(129), "from 8 to 128"),
            ("        ", "guess"),
            ("password", "most used"),
            ("12345678", "most used"),
            ("\u{ff50}assword", "most used"),
            ("P@ssw0rd", "guess"),
            ("qwertyuiop", "most used"),
            ("aaaaaaaaaaaa", "guess"),
            ("abcdefgh", "guess"),
            ("11111111", "guess"),
            ("ada.lovelace@example.com", "own"),
            ("Ada Lovelace", "own"),
            ("LOVELACE", "own"),
            ("ecalevol", "guess"),
            ("lovelace1", "guess"),
        ] {
            let refused = chosen(text, email, name).unwrap_err();
            assert!(refused.contains(said), "{text:?}: {refused}");
        }
        for text in [
            "correct horse",
            "a kettle for each of the seven seas",
            "Пароль12",
            "tr0ub4dor&3",
            "不锈钢水壶很好用",
        ] {
            assert!(chosen(text, email, name).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn the_costliest_text_is_judged_soon() {
        let began = std::time::Instant::now();
        for text in [
            "aB3$".repeat(32),
            "1".repeat(128),
            "qwerty".repeat(21),
            "\u{1F600}".repeat(128),
        ] {
            let _outcome = chosen(&text, "a@example.com", "");
        }
        println!("four of the longest: {:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn characters_are_counted_in_nfkc(text in "\\PC{0,140}") {
            if chosen(&text, "", "").is_ok() {
                prop_assert!(LENGTHS.contains(&normalized(&text).chars().count()));
            }
        }

        #[test]
        fn who_knows_less_refuses_less(text in "[a-z0-9]{8,12}", email in "[a-z0-9]{3,8}@[a-z]{3,5}\\.com") {
            if chosen(&text, &email, "").is_ok() {
                prop_assert_eq!(chosen(&text, "", ""), Ok(()));
            }
        }
    }
}
