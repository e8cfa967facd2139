//! The document's texts, in which what is code stands between backticks.

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span<'a> {
    pub(super) is_code: bool,
    pub(super) text: &'a str,
}

/// The pieces of a text.
pub(super) fn spans(text: &str) -> Vec<Span<'_>> {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(position, text)| Span {
            is_code: position % 2 == 1,
            text,
        })
        .filter(|span| !span.text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stands_between_backticks() {
        let found = spans("It is `pending` first");
        let found: Vec<_> = found.iter().map(|span| (span.is_code, span.text)).collect();
        assert_eq!(found, [(false, "It is "), (true, "pending"), (false, " first")]);
    }
}
