//! What the commands that a person runs print.

/// A stranger's text with whatever would steer the terminal replaced.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { '�' } else { character })
        .collect()
}
