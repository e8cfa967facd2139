//! Writes `docs/reference`.

use std::fs;

fn main() -> anyhow::Result<()> {
    for page in reference::pages()? {
        fs::write(reference::folder().join(page.file), page.text)?;
    }
    Ok(())
}
