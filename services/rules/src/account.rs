//! What stands in requests about accounts, beside the email and the password.

use chassis::text::{self, Lines};

use crate::{at_most, email, password};

/// The longest display name, in characters.
pub const LONGEST_NAME: usize = 200;
/// The longest code of a second factor that is looked at, in characters: people type blanks and dashes between.
pub const LONGEST_CODE: usize = 64;
/// The longest device token that is looked at, in characters.
pub const LONGEST_DEVICE_TOKEN: usize = 64;
/// The longest refresh token that is looked at, in characters.
pub const LONGEST_REFRESH_TOKEN: usize = 256;

/// A display name, as it is kept ([`text::read`]). May be empty.
///
/// # Errors
/// What is expected of it.
pub fn name(text: &str) -> Result<String, String> {
    text::read(text, 0..=LONGEST_NAME, Lines::One)
}

/// An email that somebody comes with, an account's or not.
///
/// # Errors
/// What is expected of it.
pub fn presented_email(text: &str) -> Result<(), String> {
    at_most(text, email::MAX_LENGTH)
}

/// A password that somebody comes with, right or wrong.
///
/// # Errors
/// What is expected of it.
pub fn presented_password(text: &str) -> Result<(), String> {
    at_most(text, password::LONGEST_TYPED)
}

/// A code of a second factor, or what takes its place; right or wrong.
///
/// # Errors
/// What is expected of it.
pub fn code(text: &str) -> Result<(), String> {
    at_most(text, LONGEST_CODE)
}

/// What a device says it is known by.
///
/// # Errors
/// What is expected of it.
pub fn device_token(text: &str) -> Result<(), String> {
    at_most(text, LONGEST_DEVICE_TOKEN)
}

/// A refresh token, good or not.
///
/// # Errors
/// What is expected of it.
pub fn refresh_token(text: &str) -> Result<(), String> {
    at_most(text, LONGEST_REFRESH_TOKEN)
}

/// That whoever wants a new password says the one that he has.
///
/// # Errors
/// What is expected of `current_password`.
pub fn current_password(wants_new: bool, is_given: bool) -> Result<(), &'static str> {
    if wants_new && !is_given {
        return Err("is needed with new_password");
    }
    Ok(())
}
