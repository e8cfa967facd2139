//! Tables and headings of Markdown, of text that was not written for it.

use std::fmt::{Arguments, Write as _};

/// The beginning of a page: its title, that it is made, and what it is about.
pub fn beginning(title: &str, made_of: &str, about: &str) -> String {
    format!(
        "# {title}\n\n<!-- Made of {made_of} by `cargo run --release --locked --workspace --bin reference`: change that, not this. -->\n\n{about}\n"
    )
}

/// Adds a text; writing to a string can't fail.
pub fn add(page: &mut String, text: Arguments<'_>) {
    let _ = page.write_fmt(text);
}

/// Adds a table; cells that are all empty make no column.
pub fn table(page: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let used: Vec<usize> = (0..head.len())
        .filter(|&column| rows.iter().any(|row| !row[column].is_empty()))
        .collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.collect();
        add(page, format_args!("| {} |\n", cells.join(" | ")));
    };
    line(&mut used.iter().map(|&column| head[column]));
    line(&mut used.iter().map(|_| "---"));
    for row in rows {
        line(&mut used.iter().map(|&column| row[column].as_str()));
    }
}

/// A name as code; nothing where there is none.
pub fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    // A table is cut at a bar even within code.
    format!("`{}`", text.replace('|', "\\|"))
}

/// Prose as a cell: in one line, and shown as it was written.
pub fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shown(&line).replace('|', "\\|")
}

/// Prose of a paragraph: outside of code no tag begins.
pub fn shown(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        0 => part.replace('<', "&lt;").replace('*', "\\*"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_escaped() {
        assert_eq!(cell("a <b>\n  `<c|d>`"), "a &lt;b> `<c\\|d>`");
    }

    #[test]
    fn empty_columns_are_left_out() {
        let mut page = String::new();
        table(&mut page, &["a", "b"], &[vec!["1".to_owned(), String::new()]]);
        assert_eq!(page, "| a |\n| --- |\n| 1 |\n");
    }
}
