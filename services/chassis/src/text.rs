//! Text that people write and people read: names, descriptions, reasons. One rule for all of it, since each place that
//! takes text would otherwise forget another part of it:
//!
//! - It is kept in Unicode's composed form (NFC, [UAX #15](https://www.unicode.org/reports/tr15/)), so that what looks the
//!   same is the same, stored as searched.
//! - White space around it is not part of it.
//! - No character that makes it look like another text: control characters, and what overrides or isolates the direction
//!   of writing ([UTS #55](https://www.unicode.org/reports/tr55/)), tag characters, and what is invisible and has no use
//!   within a word. Joiners, variation selectors and marks of direction are left in: Persian, Indic scripts and emoji
//!   need them.
//! - Where something must be said, something can be seen.

use std::ops::RangeInclusive;

use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory as _};

/// Whether a text may have line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// It may not.
    One,
    /// It may, and tabs.
    Many,
}

/// The text as it is to be kept, if it has so many characters (code points, when it is composed) and none that is
/// refused.
///
/// # Errors
/// What is expected of it, in words for its writer.
pub fn read(text: &str, characters: RangeInclusive<usize>, lines: Lines) -> Result<String, String> {
    let composed = composed(text);
    let text = composed.trim();
    let (least, most) = (*characters.start(), *characters.end());
    if !characters.contains(&text.chars().count()) {
        return Err(if least == 0 {
            format!("must have at most {most} characters")
        } else {
            format!("must have {least} to {most} characters")
        });
    }
    if let Some(refused) = text.chars().find_map(|character| refusal(character, lines)) {
        return Err(refused);
    }
    if !text.is_empty() && !text.chars().any(is_visible) {
        return Err("must have a character that can be seen".to_owned());
    }
    Ok(text.to_owned())
}

/// The text in Unicode's composed form, NFC.
pub fn composed(text: &str) -> String {
    if is_nfc(text) {
        text.to_owned()
    } else {
        text.nfc().collect()
    }
}

/// Why a character may not be in a text; none where it may.
fn refusal(character: char, lines: Lines) -> Option<String> {
    let why = match character {
        '\n' | '\r' | '\t' if lines == Lines::Many => return None,
        '\n' | '\r' | '\u{2028}' | '\u{2029}' if lines == Lines::One => {
            return Some("must be one line, without line breaks".to_owned());
        }
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "turns the direction of writing",
        '\u{E0000}'..='\u{E007F}' => "is an invisible tag",
        // Soft hyphen, joiners, marks of direction: what words are written with.
        '\u{AD}' | '\u{61C}' | '\u{200C}'..='\u{200F}' => return None,
        // The fillers of Hangul are letters that show nothing.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' => "can't be seen",
        _ => match character.general_category() {
            Category::Control => return Some("must not contain control characters".to_owned()),
            // Numbers of Arabic and Kaithi, and the like, are of this category too, and are seen.
            Category::Format if is_prepended(character) => return None,
            Category::Format => "can't be seen",
            Category::Unassigned if is_noncharacter(character) => "is no character of Unicode",
            _ => return None,
        },
    };
    Some(format!(
        "must not contain U+{:04X}, which {why}",
        u32::from(character)
    ))
}

/// Format characters that show something: Unicode's property `Prepended_Concatenation_Mark`.
fn is_prepended(character: char) -> bool {
    matches!(
        character,
        '\u{600}'
            ..='\u{605}'
                | '\u{6DD}'
                | '\u{70F}'
                | '\u{890}'
                | '\u{891}'
                | '\u{8E2}'
                | '\u{110BD}'
                | '\u{110CD}'
    )
}

/// Code points that never are to be characters. Those that are not yet may be a later version's, and are let through.
fn is_noncharacter(character: char) -> bool {
    matches!(character, '\u{FDD0}'..='\u{FDEF}') || u32::from(character) & 0xFFFE == 0xFFFE
}

/// Whether a reader sees something where the character stands by itself.
fn is_visible(character: char) -> bool {
    // A blank of Braille is a symbol, by its category.
    if character == '\u{2800}' {
        return false;
    }
    is_prepended(character)
        || !matches!(
            character.general_category(),
            Category::Control
                | Category::Format
                | Category::SpaceSeparator
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::NonspacingMark
                | Category::EnclosingMark
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Result<String, String> {
        read(text, 1..=20, Lines::One)
    }

    #[test]
    fn text_is_composed_and_trimmed() {
        assert_eq!(line(" Mu\u{308}sli\u{a0}").unwrap(), "M\u{fc}sli");
        assert_eq!(
            read("e\u{301}".repeat(20).as_str(), 1..=20, Lines::One)
                .unwrap()
                .chars()
                .count(),
            20,
            "counted as it is kept"
        );
    }

    #[test]
    fn what_words_are_written_with_is_fine() {
        for text in [
            "O'Neill-Smith",
            "不锈钢 커피",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
            "עברית\u{200f}!",
            "co\u{ad}operate",
            "ᠮᠣᠩᠭᠣᠯ",
            "\u{600}١٢",
        ] {
            assert!(line(text).is_ok(), "{text:?}: {:?}", line(text));
        }
        assert!(read("one\r\n\ttwo", 1..=20, Lines::Many).is_ok());
        assert_eq!(read("  ", 0..=20, Lines::One).unwrap(), "");
    }

    #[test]
    fn what_hides_or_turns_text_is_refused_and_named() {
        for (text, said) in [
            ("", "1 to 20"),
            (" \u{2003} ", "1 to 20"),
            (&"a".repeat(21), "1 to 20"),
            ("a\0b", "control"),
            ("a\u{7f}b", "control"),
            ("a\u{85}b", "control"),
            ("a\nb", "one line"),
            ("a\u{2028}b", "one line"),
            ("a\u{202e}gpj.exe", "U+202E"),
            ("a\u{2066}b", "U+2066"),
            ("a\u{e0041}b", "U+E0041"),
            ("a\u{200b}b", "U+200B"),
            ("a\u{feff}b", "U+FEFF"),
            ("a\u{2060}b", "U+2060"),
            ("a\u{180e}b", "U+180E"),
            ("a\u{3164}b", "U+3164"),
            ("a\u{ffff}b", "U+FFFF"),
            ("\u{200d}\u{200c}", "seen"),
            ("\u{200f}", "seen"),
            ("\u{ad}", "seen"),
            ("\u{fe0f}", "seen"),
            ("\u{301}\u{20dd}", "seen"),
            ("\u{2800}\u{2800}", "seen"),
        ] {
            let refused = line(text).unwrap_err();
            assert!(refused.contains(said), "{text:?}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_kept_again_as_it_is(text in any::<String>(), many in any::<bool>()) {
            let lines = if many { Lines::Many } else { Lines::One };
            if let Ok(kept) = read(&text, 0..=1_000, lines) {
                prop_assert_eq!(read(&kept, 0..=1_000, lines), Ok(kept.clone()));
                prop_assert!(kept.is_empty() || kept.chars().any(is_visible));
            }
        }
    }
}
