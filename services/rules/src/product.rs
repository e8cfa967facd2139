//! What stands in requests about products, beside price and stock. Texts are given back as they are kept.

use chassis::text::{self, Lines};
use proto::limits::{
    PRODUCT_CATEGORY as MAX_CATEGORY, PRODUCT_DESCRIPTION as MAX_DESCRIPTION,
    PRODUCT_IMAGE_URL as MAX_IMAGE_URL, PRODUCT_NAME as MAX_NAME, PRODUCT_SKU as MAX_SKU,
};
use url::Url;

/// The longest search, in characters.
pub const MAX_QUERY: usize = 200;

/// A stock keeping unit that a person chose.
///
/// # Errors
/// What is expected of it.
pub fn sku(text: &str) -> Result<String, String> {
    text::read(text, 1..=MAX_SKU, Lines::One)
}

/// A name.
///
/// # Errors
/// What is expected of it.
pub fn name(text: &str) -> Result<String, String> {
    text::read(text, 1..=MAX_NAME, Lines::One)
}

/// A description; it may have line breaks, and be empty.
///
/// # Errors
/// What is expected of it.
pub fn description(text: &str) -> Result<String, String> {
    text::read(text, 0..=MAX_DESCRIPTION, Lines::Many)
}

/// A category; empty for none.
///
/// # Errors
/// What is expected of it.
pub fn category(text: &str) -> Result<String, String> {
    text::read(text, 0..=MAX_CATEGORY, Lines::One)
}

/// The address of an image; empty for none.
///
/// # Errors
/// What is expected of it.
pub fn image_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > MAX_IMAGE_URL {
        Err(format!("must have at most {MAX_IMAGE_URL} characters"))
    } else if !text.is_empty() && !is_web_address(text) {
        Err("must be an absolute http or https URL".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// The words of a search; empty for none. They are looked for as they are kept, composed.
///
/// # Errors
/// What is expected of them.
pub fn query(text: &str) -> Result<String, String> {
    text::read(text, 0..=MAX_QUERY, Lines::One)
}

fn is_web_address(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
